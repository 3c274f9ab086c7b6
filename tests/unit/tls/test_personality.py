"""The certificate in force for a service, and what keeps an old one there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.internal_token import InternalToken
from mailfront.tls.personality import ContextSlot, load_personality
from mailfront.tls.policy import policy_named
from tests.support.keystores import new_token, self_signed

INTERMEDIATE = policy_named("intermediate")
MODERN = policy_named("modern")


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    (tmp_path / "certdb").mkdir()
    with new_token(tmp_path) as opened:
        add(opened, "Server-Cert")
        yield opened


def add(token: InternalToken, nickname: str, family: str = "ec") -> None:
    key, certificate = self_signed(family=family)
    token.add_key_and_certificate(nickname, key, (certificate,))


def loaded(token: InternalToken, *nicknames: str) -> ContextSlot:
    slot = ContextSlot("imap", ("imap",))
    slot.load(token, nicknames or ("Server-Cert",), INTERMEDIATE, tickets=True)
    return slot


def test_certificates_of_different_keys_make_one_personality(token: InternalToken) -> None:
    add(token, "rsa-cert", "rsa")
    nicknames = [each.nickname for each in load_personality(token, ("Server-Cert", "rsa-cert"))]
    assert nicknames == ["Server-Cert", "rsa-cert"]
    current = loaded(token, "Server-Cert", "rsa-cert").current
    assert current is not None
    assert current.nickname == "Server-Cert,rsa-cert"


def test_two_certificates_of_the_same_key_type_are_refused(token: InternalToken) -> None:
    add(token, "second")
    with pytest.raises(KeystoreError, match="'Server-Cert' and 'second' have keys of the same"):
        load_personality(token, ("Server-Cert", "second"))


def test_a_personality_needs_a_nickname(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="no nickname"):
        load_personality(token, ())


def test_nothing_is_rebuilt_while_everything_is_the_same(token: InternalToken) -> None:
    slot = loaded(token)
    before = slot.current
    assert slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True) is False
    assert slot.current is before


def test_another_certificate_policy_or_ticket_setting_makes_a_new_context(
    token: InternalToken,
) -> None:
    slot = loaded(token)
    assert slot.load(token, ("Server-Cert",), MODERN, tickets=True)
    assert slot.load(token, ("Server-Cert",), MODERN, tickets=False)
    before = slot.current
    token.remove("Server-Cert")
    add(token, "Server-Cert")
    assert slot.load(token, ("Server-Cert",), MODERN, tickets=False)
    assert slot.current is not None
    assert before is not None
    assert slot.current.fingerprint != before.fingerprint


def test_the_old_certificate_stays_where_the_new_one_cannot_be_used(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    slot = loaded(token)
    before = slot.current
    for _ in range(3):
        assert slot.load(token, ("Server-Crt",), INTERMEDIATE, tickets=True) is False
    assert slot.current is before
    assert "Server-Crt" in slot.problem
    assert len(caplog.records) == 1
    assert slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True) is False
    assert slot.problem == ""


def test_without_an_old_certificate_the_mistake_is_raised(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="Server-Crt"):
        loaded(token, "Server-Crt")
