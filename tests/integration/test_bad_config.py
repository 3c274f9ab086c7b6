"""Every directory of `tests/bad_config` is a mistake: its files are laid over a fresh server root,
and both `mailfront check` and `mailfront serve` must refuse it with what `expected_error` says.

`expected_error` has one text per line; each must be in the message. `options` holds options to set
as `configutil` does. Files named `*.append` are added to the end of the file of that name instead
of replacing it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.server import MailServer

CASES = Path(__file__).parents[1] / "bad_config"
EXPECTED = "expected_error"
OPTIONS = "options"
APPEND = ".append"


def lay_over(case: Path, server: MailServer) -> None:
    """Set the options of a case; copy its files into the server root, or append them."""
    if (options := case / OPTIONS).exists():
        for line in options.read_text().splitlines():
            name, _, value = line.partition(" = ")
            server.set_option(name, value)
    for path in sorted(case.rglob("*")):
        if not path.is_file() or path.name in (EXPECTED, OPTIONS):
            continue
        target = server.root.path / path.relative_to(case)
        if path.name.endswith(APPEND):
            with target.with_name(path.name.removesuffix(APPEND)).open("a") as file:
                file.write(path.read_text())
        else:
            # Into the file that is there, whose mode stays: a checkout's would be refused.
            target.write_bytes(path.read_bytes())


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir() if path.is_dir()))
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_mistake_is_refused_with_its_remedy(
    new_server: NewServer, case: str, command: str
) -> None:
    server = new_server()
    server.choose_ports()
    lay_over(CASES / case, server)
    refused = server.mailfront(command)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "mailfront ready" not in refused.stdout
    assert "Traceback" not in refused.stderr
    message = refused.stdout + refused.stderr
    for expected in (CASES / case / EXPECTED).read_text().splitlines():
        assert expected in message


def test_a_fresh_server_root_passes_the_check(new_server: NewServer) -> None:
    server = new_server()
    server.choose_ports()
    checked = server.mailfront("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", ["config/sslpassword.conf", "config/users.ldif"])
def test_a_file_with_secrets_that_others_can_read_is_refused(
    new_server: NewServer, name: str
) -> None:
    server = new_server()
    server.choose_ports()
    (server.root.path / name).chmod(0o644)
    refused = server.mailfront("check")
    assert refused.returncode == 1
    assert name in refused.stdout
