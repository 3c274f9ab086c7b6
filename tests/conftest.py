"""Fixtures of every level: server roots, and servers over copies of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import MailServer, make_server_root

# Options by name and text; the server is not started yet.
NewServer = Callable[..., MailServer]


@pytest.fixture(scope="session")
def server_root_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server root as `mailfront init --demo` makes it; tests copy it."""
    path = tmp_path_factory.mktemp("template") / "root"
    make_server_root(path)
    return path


@pytest.fixture
def new_server(server_root_template: Path, tmp_path: Path) -> NewServer:
    """Makes a server over its own server root: `new_server({option: text})`, not yet started."""

    def make(options: dict[str, str] | None = None, name: str = "root") -> MailServer:
        return MailServer.copied(server_root_template, tmp_path / name, options)

    return make


@pytest.fixture(scope="module")
def server(
    server_root_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailServer]:
    """A running server that the tests of one file share."""
    path = tmp_path_factory.mktemp("shared") / "root"
    with MailServer.copied(server_root_template, path) as running:
        yield running
