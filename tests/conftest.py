"""Fixtures of every level: server roots, and servers over copies of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import MailServer, make_server_root

# Options by name and text; the server is not started yet.
NewServer = Callable[..., MailServer]

# The files that take longest, begun first: else one process works on them when all else is done.
LONGEST = (
    "test_shared_store.py",
    "test_rotation.py",
    "test_stapling.py",
    "test_ldap.py",
    "test_workers.py",
    "test_tokens.py",
    "test_upstream_postfix.py",
    "test_accelerator.py",
    "test_certificates_page.py",
    "test_msgcert_running_server.py",
    "test_moving_users.py",
    "test_certificate_login_page.py",
    "test_scanners.py",
    "test_ticket_keys.py",
    "test_hsm_page.py",
    "test_reload_under_load.py",
    "test_msgcert_crashes.py",
    "test_bad_input.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Part of pytest: put the files in the order of `LONGEST`, and the others behind them."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


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
