"""Following changes of msg.conf and of the keystore."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration, set_option
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.watch import KeystoreWatch
from mailfront.server.certificates import ALPN, ServiceContexts
from mailfront.server.reload import Reloader
from tests.support.keystores import PASSWORD, root_with_keystore, self_signed


class Running:
    """The parts of a running server that follow changes."""

    def __init__(self, path: Path) -> None:
        self.root = root_with_keystore(path)
        self.root.msg_conf.write_text("")
        self.token = self.open_token()
        self.add("Server-Cert")
        self.add("imap-cert")
        configuration = load_configuration(self.root.msg_conf)
        self.contexts = ServiceContexts(ALPN)
        self.contexts.load(configuration, self.token)
        self.watch = KeystoreWatch(self.root.certificate_database)
        self.reloader = Reloader(self.root, configuration, self.token, self.watch, self.contexts)

    def open_token(self) -> InternalToken:
        return InternalToken.open(self.root.certificate_database, PASSWORD)

    def add(self, nickname: str) -> None:
        key, certificate = self_signed()
        with self.open_token() as editor:
            editor.add_key_and_certificate(nickname, key, (certificate,))

    def set(self, name: str, text: str) -> None:
        set_option(self.root.msg_conf, name, text)

    def served(self, service: str) -> tuple[str, str]:
        current = self.contexts.slots[service].current
        assert current is not None
        return current.nickname, current.fingerprint

    def close(self) -> None:
        self.watch.close()
        self.token.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "root")
    yield made
    made.close()


async def test_a_changed_nickname_is_followed(running: Running) -> None:
    running.set("local.imap.sslnicknames", "imap-cert")
    await running.reloader.look()
    assert running.served("imap")[0] == "imap-cert"
    assert running.served("pop")[0] == "Server-Cert"
    assert running.reloader.waiting_for_restart() == []


async def test_a_renewed_certificate_is_followed(running: Running) -> None:
    before = running.served("imap")
    with running.open_token() as editor:
        editor.remove("Server-Cert")
    running.add("Server-Cert")
    await running.reloader.look()
    assert running.served("imap")[1] != before[1]


async def test_a_look_without_a_change_does_nothing(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await running.reloader.look()
    assert caplog.records == []
    await running.reloader.look(forced=True)
    assert "new certificates for: none" in caplog.text


async def test_a_mistake_is_told_once_and_changes_nothing(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    before = running.served("imap")
    running.root.msg_conf.write_text("local.imap.sslnickname = imap-cert\n")
    for _ in range(3):
        await running.reloader.look(forced=True)
    assert running.served("imap") == before
    assert "local.imap.sslnickname" in running.reloader.problem
    assert len(caplog.records) == 1
    running.root.msg_conf.write_text("local.imap.sslnicknames = imap-cert\n")
    await running.reloader.look()
    assert running.reloader.problem == ""
    assert running.served("imap")[0] == "imap-cert"


async def test_what_cannot_change_live_waits_for_a_restart(running: Running) -> None:
    running.set("service.imap.port", "2143")
    await running.reloader.look()
    assert running.reloader.waiting_for_restart() == ["service.imap.port"]
    running.set("service.imap.port", "143")
    await running.reloader.look()
    assert running.reloader.waiting_for_restart() == []


async def test_a_database_restored_from_a_backup_is_opened_anew(
    running: Running, tmp_path: Path
) -> None:
    backup = ServerRoot(tmp_path / "backup")
    other = root_with_keystore(backup.path)
    key, certificate = self_signed()
    with InternalToken.open(other.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("Server-Cert", key, (certificate,))
    before = running.served("imap")
    # The whole directory: beside the database lie SQLite's files of the old one.
    running.root.certdb_directory.rename(tmp_path / "old")
    other.certdb_directory.rename(running.root.certdb_directory)
    await running.reloader.look()
    assert running.reloader.problem == ""
    assert running.served("imap")[1] != before[1]
