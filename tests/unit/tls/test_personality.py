"""The certificate in force for a service, and what keeps an old one there."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.errors import KeystoreError
from mailfront.keystore import requests
from mailfront.keystore.internal_token import InternalToken
from mailfront.tls.certificate_names import CertificateNames
from mailfront.tls.personality import ContextSlot, load_personality
from mailfront.tls.policy import policy_named
from mailfront.tls.records import TlsRecords
from tests.support.issuing import Issuer
from tests.support.keystores import certificate_for, new_token, self_signed

INTERMEDIATE = policy_named("intermediate")
MODERN = policy_named("modern")
NAME = "mail.example.test"
ISSUER = Issuer()


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


def renewed(
    token: InternalToken,
    slot: ContextSlot,
    chain: Sequence[x509.Certificate],
    key: requests.PrivateKey,
) -> bool:
    token.replace("Server-Cert", chain, key)
    return slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True)


def _lost_name() -> tuple[requests.PrivateKey, x509.Certificate]:
    return self_signed("other.example.test")


def _incomplete_chain() -> tuple[requests.PrivateKey, x509.Certificate]:
    issued = ISSUER.issue(NAME)
    return issued.key, issued.leaf


def _expired() -> tuple[requests.PrivateKey, x509.Certificate]:
    return self_signed(now=datetime.now(UTC) - timedelta(days=91))


def _not_yet_valid() -> tuple[requests.PrivateKey, x509.Certificate]:
    return self_signed(now=datetime.now(UTC) + timedelta(days=1))


def _weak_key() -> tuple[requests.PrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(65537, 1024)
    return key, certificate_for(key)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_lost_name, "not for mail.example.test"),
        (_incomplete_chain, "chain of 'Server-Cert' is incomplete"),
        (_expired, "expired on"),
        (_not_yet_valid, "not valid before"),
        (_weak_key, "RSA 1024 is too weak"),
    ],
)
def test_an_unfit_certificate_is_refused_with_its_reason_and_counted_once(
    token: InternalToken,
    made: Callable[[], tuple[requests.PrivateKey, x509.Certificate]],
    reason: str,
) -> None:
    slot = loaded(token)
    before = slot.current
    key, certificate = made()
    assert renewed(token, slot, [certificate], key) is False
    assert slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True) is False
    assert slot.current is before
    assert reason in slot.problem
    assert slot.refusals == 1
    assert before is not None
    assert slot.wanted_fingerprint != before.fingerprint
    fit_key, fit = self_signed()
    assert renewed(token, slot, [fit], fit_key) is True
    assert (slot.problem, slot.refusals) == ("", 1)
    assert slot.replaced_fingerprint == before.fingerprint
    assert slot.current is not None
    assert slot.current.fingerprint == slot.wanted_fingerprint


def test_a_refused_certificate_is_taken_once_what_it_lacked_is_there(token: InternalToken) -> None:
    slot = loaded(token)
    issued = ISSUER.issue(NAME)
    assert renewed(token, slot, issued.chain, issued.key) is False
    token.add_authority("Example Root", ISSUER.root)
    assert slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True) is True
    assert slot.problem == ""


def test_a_completed_chain_is_served_though_the_certificate_is_the_same(
    token: InternalToken,
) -> None:
    issued = ISSUER.issue(NAME)
    token.add_authority("Example Root", ISSUER.root)
    token.add_key_and_certificate("bare", issued.key, issued.chain[:1])
    slot = loaded(token, "bare")
    token.replace("bare", issued.chain, issued.key)
    assert slot.load(token, ("bare",), INTERMEDIATE, tickets=True) is True
    assert slot.current is not None
    assert slot.replaced_fingerprint == slot.current.fingerprint


def test_at_the_start_an_unfit_certificate_is_served_loudly(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    key, certificate = _expired()
    token.replace("Server-Cert", [certificate], key)
    assert loaded(token).current is not None
    assert "service=imap 'Server-Cert' expired on" in caplog.text


def test_an_expired_certificate_stays_the_one_for_its_name(token: InternalToken) -> None:
    key, certificate = _expired()
    token.replace("Server-Cert", [certificate], key)
    slot = loaded(token)
    assert slot.load(token, ("Server-Cert",), MODERN, tickets=True) is True
    assert slot.problem == ""


def test_each_certificate_of_a_personality_is_told(token: InternalToken) -> None:
    add(token, "rsa-cert", "rsa")
    slot = loaded(token, "Server-Cert", "rsa-cert")
    assert slot.current is not None
    fingerprints = [token.require(each).sha256 for each in ("Server-Cert", "rsa-cert")]
    assert slot.current.fingerprint == slot.wanted_fingerprint == ",".join(fingerprints)
    key, certificate = self_signed("other.example.test", family="rsa")
    token.replace("rsa-cert", [certificate], key)
    assert slot.load(token, ("Server-Cert", "rsa-cert"), INTERMEDIATE, tickets=True) is False
    assert "rsa-cert" in slot.problem
    assert slot.wanted_fingerprint != slot.current.fingerprint


def test_the_old_context_lives_as_long_as_its_last_connection(token: InternalToken) -> None:
    slot = loaded(token)
    slot.serve_names(CertificateNames.of_records(token.list()), token.credentials)
    assert slot.current is not None
    old = weakref.ref(slot.current.ssl_context)
    connection: TlsRecords | None = TlsRecords(slot.current.ssl_context)
    assert slot.load(token, ("Server-Cert",), MODERN, tickets=True)
    slot.serve_names(CertificateNames.of_records(token.list()), token.credentials)
    gc.collect()
    assert connection is not None
    assert old() is connection.tls.context
    connection = None
    gc.collect()
    assert old() is None


def test_the_contexts_of_names_go_with_the_policy_under_which_they_were_built(
    token: InternalToken,
) -> None:
    key, certificate = self_signed("other.example.test")
    token.add_key_and_certificate("other", key, (certificate,))
    slot = loaded(token)
    slot.serve_names(CertificateNames.of_records(token.list()), token.credentials)
    chosen = slot.server_names.choose("other.example.test")
    assert chosen is not None
    old = weakref.ref(chosen.ssl_context)
    del chosen
    assert slot.load(token, ("Server-Cert",), MODERN, tickets=True)
    slot.serve_names(CertificateNames.of_records(token.list()), token.credentials)
    gc.collect()
    assert old() is None
