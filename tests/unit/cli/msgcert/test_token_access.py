"""Which token is meant, where its PIN comes from, and which token has a key."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailfront.cli.msgcert.token_access import (
    certified_in_database,
    find_on_tokens,
    internal_records,
    is_external,
    opened,
    qualified,
    take_token_from_alias,
)
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import certificate_public_key_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import write_password
from mailfront.keystore.records import NewEntry
from mailfront.keystore.requests import KeyKind
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import (
    PASSWORD,
    password_file,
    root_with_keystore,
    self_signed,
)
from tests.support.softhsm import SoftHsm


def arguments(root: ServerRoot, file: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(home=str(root.path), cert_pwd_file=file, token="HSM One")


@pytest.mark.parametrize(
    ("given", "alias", "token", "nickname"),
    [
        (None, "imap", None, "imap"),
        (None, "HSM One:imap", "HSM One", "imap"),
        ("HSM One", "HSM One: imap", "HSM One", "imap"),
        (None, "internal:imap", "internal", "imap"),
        ("internal", f"{INTERNAL_TOKEN}:imap", INTERNAL_TOKEN, "imap"),
        ("HSM One", None, "HSM One", None),
    ],
)
def test_an_operand_may_name_the_token(
    given: str | None, alias: str | None, token: str | None, nickname: str | None
) -> None:
    parsed = argparse.Namespace(token=given, alias=alias)
    take_token_from_alias(parsed)
    assert (parsed.token, parsed.alias) == (token, nickname)
    assert is_external(parsed) is (token == "HSM One")


def test_a_token_is_named_once() -> None:
    with pytest.raises(KeystoreError, match="name the token once"):
        take_token_from_alias(argparse.Namespace(token="Two", alias="HSM One:imap"))


def test_names_are_quoted_for_the_shell() -> None:
    assert qualified("HSM One", "imap") == '"HSM One:imap"'
    assert qualified("HSM", "imap") == "HSM:imap"


def test_the_configured_pin_opens_the_token(token_root: ServerRoot) -> None:
    with opened(arguments(token_root)) as token:
        assert token.label == "HSM One"


def test_a_file_with_the_pin_comes_before_it(
    token_root: ServerRoot, hsm: SoftHsm, tmp_path: Path
) -> None:
    write_password(token_root.sslpassword_conf, "HSM One", Secret("wrong"))
    file = password_file(tmp_path / "pin", hsm.pins["HSM One"])
    with opened(arguments(token_root, file)) as token:
        assert token.label == "HSM One"


def test_a_person_is_asked_where_no_pin_is_noted(
    token_root: ServerRoot, hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_root.sslpassword_conf.unlink()
    with pytest.raises(KeystoreError), opened(arguments(token_root)):
        pass
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return hsm.pins["HSM One"].reveal()

    monkeypatch.setattr(getpass, "getpass", answer)
    with opened(arguments(token_root)) as token:
        assert token.label == "HSM One"
    assert asked == ["Enter the PIN of the token HSM One: "]


def test_a_token_that_is_not_there_is_told_with_those_that_are(token_root: ServerRoot) -> None:
    wanted = arguments(token_root)
    wanted.token = "HSM Two"
    told = r"no token 'HSM Two'"
    with pytest.raises(TokenError, match=told) as caught, opened(wanted):
        pass
    assert "'HSM One'" in caught.value.remedy
    assert "modutil -add" in caught.value.remedy


def test_without_any_module_the_remedy_is_to_add_one(tmp_path: Path) -> None:
    root = root_with_keystore(tmp_path / "root")
    assert find_on_tokens(root, b"") is None
    with pytest.raises(TokenError) as caught, opened(arguments(root)):
        pass
    assert "modutil -add" in caught.value.remedy


def test_the_token_with_a_key_is_found(
    token_root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(arguments(token_root)) as token:
        assert token.contents().keys == ()
    write = arguments(token_root)
    with opened(write, read_write=True) as token:
        key = token.generate_key_pair("imap", KeyKind("ec"))
    place = find_on_tokens(token_root, key.public_der)
    assert place is not None
    assert (place.token, place.key.nickname) == ("HSM One", "imap")
    other = certificate_public_key_der(self_signed()[1])
    assert find_on_tokens(token_root, other) is None
    write_password(token_root.sslpassword_conf, "HSM One", Secret("wrong1"))
    assert find_on_tokens(token_root, key.public_der) is None
    assert "refuses the PIN" in capsys.readouterr().err


def test_the_database_is_read_without_asking_anybody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = root_with_keystore(tmp_path / "root")
    _, certificate = self_signed()
    key, own = self_signed("other.example.test")
    entry = NewEntry("on-token", (certificate,), None, TrustFlags.NONE, key_on_other_token=True)
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("here", key, [own])
        with token.change() as step:
            step.add(entry)
    public_der = certificate_public_key_der(certificate)
    assert certified_in_database(internal_records(root)) == {public_der: "on-token"}
    write_password(root.sslpassword_conf, INTERNAL_TOKEN, Secret("wrong"))
    assert internal_records(root) == ()
    assert "passed over" in capsys.readouterr().err
    root.sslpassword_conf.unlink()
    assert internal_records(root) == ()
