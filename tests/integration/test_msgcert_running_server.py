"""A running server follows what msgcert does to the whole database, without a connection lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.interfaces.secret import Secret
from tests.conftest import NewServer
from tests.support.clients import served_certificate
from tests.support.keystores import password_file
from tests.support.server import MailServer, run_command
from tests.support.waiting import eventually

NICKNAME = "imap-cert"


@pytest.fixture
def running(new_server: NewServer) -> Iterator[MailServer]:
    with new_server() as server:
        yield server


def msgcert(server: MailServer, *arguments: object) -> None:
    finished = run_command("msgcert", "--home", str(server.root.path), *map(str, arguments))
    assert finished.returncode == 0, finished.stderr


def serial(server: MailServer) -> int:
    return served_certificate(server.ports["imaps"]).serial_number


@pytest.fixture
def secret(tmp_path: Path) -> str:
    return password_file(tmp_path / "secret", Secret("for the backup"))


def test_a_restored_backup_is_served(running: MailServer, tmp_path: Path, secret: str) -> None:
    backup = tmp_path / "certificates.backup"
    msgcert(running, "backup", backup, "-O", secret)
    first = serial(running)
    msgcert(running, "renew-selfsign-cert", NICKNAME)
    eventually(lambda: serial(running) != first, "the renewed one is served")
    msgcert(running, "restore", "--force", backup, "-I", secret)
    eventually(lambda: serial(running) == first, "the restored one is served")


def test_a_database_that_is_restored_as_a_new_file_is_followed_too(
    running: MailServer, tmp_path: Path, secret: str
) -> None:
    backup = tmp_path / "certificates.backup"
    msgcert(running, "backup", backup, "-O", secret)
    msgcert(running, "renew-selfsign-cert", NICKNAME)
    running.root.certdb_directory.rename(tmp_path / "away")
    msgcert(running, "restore", backup, "-I", secret)
    restored = serial(running)
    msgcert(running, "renew-selfsign-cert", NICKNAME)
    eventually(lambda: serial(running) != restored, "the new file is followed")


def test_after_a_change_of_the_password_the_server_goes_on_and_starts_again(
    running: MailServer,
) -> None:
    first = serial(running)
    msgcert(running, "change-password", "--random")
    assert serial(running) == first
    msgcert(running, "renew-selfsign-cert", NICKNAME)
    eventually(lambda: serial(running) != first, "the renewed one is served")
    renewed = serial(running)
    assert running.stop() == 0
    running.start()
    assert serial(running) == renewed


def test_an_exported_certificate_is_imported_on_another_server_and_served_there(
    new_server: NewServer, tmp_path: Path, secret: str
) -> None:
    file = tmp_path / "imap.p12"
    with new_server() as one, new_server(name="other") as other:
        # Both began as copies of one server root.
        first = serial(one)
        msgcert(one, "renew-selfsign-cert", "--new-key", NICKNAME)
        eventually(lambda: serial(one) != first, "the renewed one is served")
        msgcert(one, "export-cert", "-o", file, "-O", secret, NICKNAME)
        msgcert(other, "import-cert", "--replace", "-I", secret, NICKNAME, file)
        eventually(lambda: serial(other) == serial(one), "the imported one is served")
