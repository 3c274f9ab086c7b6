"""Creation: database, password line and Server-Cert, in an order that survives a crash."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests
from mailfront.keystore.creation import (
    add_self_signed,
    create_certificate_database,
    default_names,
)
from mailfront.keystore.formats import alternative_names, general_name_text, name_text
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import DEFAULT_NICKNAME, INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password, write_password
from mailfront.keystore.records import NewEntry
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import CHEAP, authority, new_token


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "certdb" / "keystore.sqlite", tmp_path / "config" / "sslpassword.conf"


def create(paths: tuple[Path, Path], password: Secret | None = None) -> InternalToken:
    return create_certificate_database(*paths, password, "mail.example.test", "example.test")


def test_a_new_database_holds_a_server_certificate_for_90_days(paths: tuple[Path, Path]) -> None:
    with create(paths) as token:
        record = token.require(DEFAULT_NICKNAME)
    certificate = record.certificate
    assert record.key_description == "EC P-256"
    assert name_text(certificate.subject) == "CN=mail.example.test"
    assert alternative_names(certificate) == [
        "DNS:mail.example.test",
        "DNS:example.test",
        "DNS:localhost",
    ]
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=90) <= lifetime < timedelta(days=90, hours=1)


def test_the_password_line_opens_it(paths: tuple[Path, Path]) -> None:
    create(paths).close()
    database, sslpassword_conf = paths
    password = read_password(sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(database, password) as token:
        assert token.nicknames() == (DEFAULT_NICKNAME,)
    assert database.stat().st_mode & 0o777 == 0o600
    assert sslpassword_conf.stat().st_mode & 0o777 == 0o600


def test_a_chosen_password_is_written(paths: tuple[Path, Path]) -> None:
    create(paths, Secret("chosen")).close()
    assert read_password(paths[1], INTERNAL_TOKEN).reveal() == "chosen"


def test_a_line_that_the_operator_wrote_is_taken(paths: tuple[Path, Path]) -> None:
    write_password(paths[1], INTERNAL_TOKEN, Secret("mine"))
    write_password(paths[1], "HSM One", Secret("pin"))
    create(paths).close()
    assert read_password(paths[1], INTERNAL_TOKEN).reveal() == "mine"
    assert read_password(paths[1], "HSM One").reveal() == "pin"


def test_the_well_known_default_line_is_replaced_by_a_random_password(
    paths: tuple[Path, Path],
) -> None:
    write_password(paths[1], INTERNAL_TOKEN, Secret("netscape!"))
    create(paths).close()
    assert read_password(paths[1], INTERNAL_TOKEN).reveal() != "netscape!"


def test_an_existing_database_is_kept_with_its_password_line(paths: tuple[Path, Path]) -> None:
    create(paths, Secret("first")).close()
    before = paths[0].read_bytes(), paths[1].read_bytes()
    with pytest.raises(KeystoreError, match="already"):
        create(paths, Secret("second"))
    assert (paths[0].read_bytes(), paths[1].read_bytes()) == before


def test_a_crash_before_the_database_appears_is_mended_by_the_next_run(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*arguments: object, **options: object) -> InternalToken:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(InternalToken, "create", crash)
        with pytest.raises(KeyboardInterrupt):
            create(paths)
    assert not paths[0].exists()
    with create(paths) as token:
        assert token.nicknames() == (DEFAULT_NICKNAME,)
    InternalToken.open(paths[0], read_password(paths[1], INTERNAL_TOKEN)).close()


def test_of_two_creators_one_wins_and_the_line_is_the_winners(
    paths: tuple[Path, Path],
) -> None:
    outcomes: list[str] = []

    def run(password: str) -> None:
        try:
            create(paths, Secret(password)).close()
            outcomes.append(password)
        except KeystoreError:
            outcomes.append("refused")

    threads = [threading.Thread(target=run, args=(password,)) for password in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = set(outcomes) - {"refused"}
    assert read_password(paths[1], INTERNAL_TOKEN).reveal() == winner
    InternalToken.open(paths[0], Secret(winner)).close()


def test_a_machine_name_that_no_certificate_can_carry_is_left_out() -> None:
    names = default_names("my machine", "example.test")
    assert [general_name_text(name) for name in names] == ["DNS:example.test", "DNS:localhost"]


def test_the_same_name_thrice_stands_once() -> None:
    assert len(default_names("localhost", "localhost")) == 1


def test_a_self_signed_certificate_lasts_three_months_by_default(tmp_path: Path) -> None:
    with new_token(tmp_path) as token:
        record = add_self_signed(
            token,
            "imap-cert",
            requests.parse_subject("CN=imap.example.test,O=x"),
            now=datetime(2026, 1, 10, tzinfo=UTC),
        )
        assert token.require("imap-cert") == record
    assert record.certificate.not_valid_after_utc == datetime(2026, 4, 10, tzinfo=UTC)
    assert alternative_names(record.certificate) == ["DNS:imap.example.test"]


def test_names_key_and_months_can_be_chosen(tmp_path: Path) -> None:
    with new_token(tmp_path) as token:
        record = add_self_signed(
            token,
            "imap-rsa",
            requests.parse_subject("CN=Mail"),
            (requests.parse_alternative_name("192.0.2.7"),),
            key_kind=requests.KeyKind("rsa", size=2048),
            months=12,
            now=datetime(2026, 1, 10, tzinfo=UTC),
        )
    assert record.key_description == "RSA 2048"
    assert record.certificate.not_valid_after_utc.year == 2027
    assert alternative_names(record.certificate) == ["IP:192.0.2.7"]


def test_a_taken_nickname_is_refused(tmp_path: Path) -> None:
    with new_token(tmp_path) as token:
        subject = requests.parse_subject("CN=a")
        first = add_self_signed(token, "imap-cert", subject)
        with pytest.raises(KeystoreError, match="already"):
            add_self_signed(token, "imap-cert", subject)
        assert token.require("imap-cert") == first


@pytest.fixture(autouse=True)
def cheap_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions under test use today's cost; half a second each teaches these tests nothing."""
    monkeypatch.setitem(InternalToken.create.__kwdefaults__ or {}, "cost", CHEAP)


def test_authorities_are_there_from_the_beginning(paths: tuple[Path, Path]) -> None:
    entries = [NewEntry("Example CA", (authority()[1],), None, TrustFlags.SERVERS)]
    with create_certificate_database(
        *paths, None, "mail.example.test", None, authorities=entries
    ) as token:
        assert token.nicknames() == ("Example CA", DEFAULT_NICKNAME)
        assert token.require("Example CA").trust == TrustFlags.SERVERS


@pytest.mark.parametrize("content", [b"", None])
def test_an_empty_database_is_replaced_if_that_is_asked_for(
    paths: tuple[Path, Path], content: bytes | None
) -> None:
    if content is None:
        new_token(paths[0].parent.parent).close()
    else:
        paths[0].parent.mkdir(mode=0o700)
        paths[0].write_bytes(content)
    with pytest.raises(KeystoreError, match="already"):
        create(paths)
    with create_certificate_database(
        *paths, None, "mail.example.test", None, over_empty=True
    ) as token:
        assert token.nicknames() == (DEFAULT_NICKNAME,)


def test_a_database_that_holds_anything_is_not_replaced(paths: tuple[Path, Path]) -> None:
    create(paths).close()
    before = paths[0].read_bytes()
    with pytest.raises(KeystoreError, match="not empty"):
        create_certificate_database(*paths, None, "mail.example.test", None, over_empty=True)
    assert paths[0].read_bytes() == before
