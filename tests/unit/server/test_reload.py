"""Following changes of msg.conf and of the keystore."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration, set_option
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.linked_files import Link
from mailfront.keystore.requests import CLOCK_SKEW, PrivateKey
from mailfront.keystore.watch import KeystoreWatch
from mailfront.server import reload
from mailfront.server.certificates import ALPN, ServiceContexts
from mailfront.server.reload import Reloader
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.keystores import PASSWORD, certificate_for, root_with_keystore, self_signed

RENEWED_BY_ITSELF = "local.ssl.autorenewselfsigned"


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
        self.changed: list[str] = []
        self.refused: list[str] = []
        self.reloader.on_change = self.changed.extend
        self.reloader.on_refusal = self.refused.extend

    def open_token(self) -> InternalToken:
        return InternalToken.open(self.root.certificate_database, PASSWORD)

    def add(self, nickname: str) -> None:
        key, certificate = self_signed()
        with self.open_token() as editor:
            editor.add_key_and_certificate(nickname, key, (certificate,))

    def replace(self, nickname: str, key: PrivateKey, chain: Sequence[x509.Certificate]) -> None:
        with self.open_token() as editor:
            editor.replace(nickname, chain, key)

    def make_retries_due(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reload, "RETRY_SECONDS", -1.0)

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


async def test_one_changed_certificate_makes_one_new_context(running: Running) -> None:
    running.set("local.imap.sslnicknames", "imap-cert")
    await running.reloader.look()
    before = {service: slot.current for service, slot in running.contexts.slots.items()}
    running.changed.clear()
    running.replace("imap-cert", *_self_signed_chain())
    await running.reloader.look()
    assert running.changed == ["imap"]
    now = {service: slot.current for service, slot in running.contexts.slots.items()}
    assert [service for service in now if now[service] is not before[service]] == ["imap"]


async def test_a_refused_certificate_is_told_counted_and_replaced_by_a_right_one(
    running: Running,
) -> None:
    before = running.served("imap")
    key, other = self_signed("other.example.test")
    running.replace("Server-Cert", key, (other,))
    await running.reloader.look()
    assert running.served("imap") == before
    assert running.refused == list(ALPN)
    running.replace("Server-Cert", *_self_signed_chain())
    await running.reloader.look()
    assert running.contexts.problems() == []
    assert running.served("imap") != before
    assert running.refused == list(ALPN)


async def test_a_certificate_of_tomorrow_is_tried_again_until_it_is_valid(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = running.served("imap")
    begins = datetime.now(UTC) + timedelta(seconds=2)
    key, _ = self_signed()
    running.replace("Server-Cert", key, (certificate_for(key, now=begins + CLOCK_SKEW),))
    await running.reloader.look()
    assert "not valid before" in running.contexts.problems()[0]
    # Not yet: the next try is a minute away.
    await asyncio.sleep((begins - datetime.now(UTC)).total_seconds() + 1)
    await running.reloader.look()
    assert running.served("imap") == before
    running.make_retries_due(monkeypatch)
    await running.reloader.look(forced=True)
    assert running.served("imap") != before
    assert running.contexts.problems() == []


async def test_what_was_refused_is_tried_again_without_being_asked(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.make_retries_due(monkeypatch)
    before = running.served("imap")
    begins = datetime.now(UTC) + timedelta(seconds=2)
    key, _ = self_signed()
    running.replace("Server-Cert", key, (certificate_for(key, now=begins + CLOCK_SKEW),))
    await running.reloader.look()
    assert running.served("imap") == before
    await asyncio.sleep((begins - datetime.now(UTC)).total_seconds() + 1)
    await running.reloader.look()
    assert running.served("imap") != before


async def test_linked_files_are_followed_and_what_is_refused_counts_for_its_services(
    running: Running, tmp_path: Path
) -> None:
    issuer = Issuer()
    issued = issuer.issue("mail.example.test")
    link = Link(
        "Server-Cert",
        certificate_pem_file(tmp_path / "fullchain.pem", issued.chain),
        key_pem_file(tmp_path / "privkey.pem", issued.key),
    )
    running.set("local.imap.sslnicknames", "imap-cert")
    with running.open_token() as editor, editor.change() as step:
        step.link(link)
    for _ in range(3):
        await running.reloader.look()
    assert "chain" in running.reloader.problems()[0]
    assert running.refused == ["imta", "pop", "http"]
    with running.open_token() as editor:
        editor.add_authority("Example Root", issuer.root)
    for _ in range(3):
        await running.reloader.look()
    assert running.reloader.problems() == []
    current = running.contexts.slots["pop"].current
    assert current is not None
    assert current.expires == issued.leaf.not_valid_after_utc


async def test_self_signed_certificates_in_use_are_renewed_only_if_that_is_wanted(
    running: Running,
) -> None:
    now = datetime.now(UTC) + timedelta(days=61)
    [found] = await running.reloader.look_at_certificates(now)
    running.set(RENEWED_BY_ITSELF, "yes")
    await running.reloader.look()
    [renewed] = await running.reloader.look_at_certificates(now)
    assert (found.nickname, renewed.nickname) == ("Server-Cert", "Server-Cert")
    assert renewed.fingerprint != found.fingerprint
    assert renewed.expires > found.expires


async def test_a_keystore_that_cannot_be_read_keeps_the_former_certificates(
    running: Running,
) -> None:
    found = await running.reloader.look_at_certificates(datetime.now(UTC))
    running.token.close()
    assert await running.reloader.look_at_certificates(datetime.now(UTC)) == found
    assert len(running.reloader.problems()) == 1


def _self_signed_chain() -> tuple[PrivateKey, tuple[x509.Certificate, ...]]:
    key, certificate = self_signed()
    return key, (certificate,)
