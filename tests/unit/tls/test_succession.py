"""Certificates chosen by name are replaced by proved ones only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.errors import KeystoreError
from mailfront.keystore import requests
from mailfront.keystore.internal_token import InternalToken
from mailfront.tls import succession as module
from mailfront.tls.policy import policy_named
from mailfront.tls.succession import Succession
from tests.support.issuing import Issuer
from tests.support.keystores import new_token
from tests.support.server_names import KEY, certificate

INTERMEDIATE = policy_named("intermediate")
NAME = "tenant.example.test"
ISSUER = Issuer()


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as opened:
        opened.add_key_and_certificate("tenant", KEY, (certificate(NAME),))
        yield opened


def followed(token: InternalToken, succession: Succession | None = None) -> Succession:
    succession = succession or Succession()
    succession.follow(token.inventory(), [INTERMEDIATE], datetime.now(UTC))
    return succession


def fingerprints(succession: Succession) -> list[str]:
    return [record.sha256 for record in succession.records]


def test_what_is_there_at_the_first_look_is_in_force(token: InternalToken) -> None:
    succession = followed(token)
    assert fingerprints(succession) == [token.require("tenant").sha256]
    assert succession.open("tenant").certificate == token.require("tenant").certificate
    assert (succession.rotations, succession.refusals) == (0, 0)


def test_a_fit_certificate_succeeds_and_is_told_with_both_fingerprints(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    succession = followed(token)
    [old] = fingerprints(succession)
    token.replace("tenant", (certificate(NAME),))
    with caplog.at_level(logging.INFO):
        followed(token, succession)
        followed(token, succession)
    [new] = fingerprints(succession)
    assert new == token.require("tenant").sha256 != old
    assert [line.getMessage() for line in caplog.records] == [
        f"nickname=tenant fingerprint={new} replaced={old} by=sni"
    ]
    assert (succession.rotations, succession.refusals, succession.problems()) == (1, 0, [])


Unfit = tuple[requests.PrivateKey, x509.Certificate]


def _lost_name() -> Unfit:
    return KEY, certificate("other.example.test")


def _expired() -> Unfit:
    return KEY, certificate(NAME, begins=datetime.now(UTC) - timedelta(days=99), days=9)


def _incomplete() -> Unfit:
    issued = ISSUER.issue(NAME)
    return issued.key, issued.leaf


def _weak() -> Unfit:
    key = rsa.generate_private_key(65537, 1024)
    return key, certificate(NAME, key=key)


def _for_clients() -> Unfit:
    return KEY, certificate(NAME, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_lost_name, "is not for tenant.example.test"),
        (_expired, "expired on"),
        (_incomplete, "is incomplete"),
        (_weak, "RSA 1024 is too weak"),
        (_for_clients, "not made for servers"),
    ],
)
def test_an_unfit_one_leaves_the_one_before_in_force_with_its_key(
    token: InternalToken,
    caplog: pytest.LogCaptureFixture,
    made: Callable[[], Unfit],
    reason: str,
) -> None:
    succession = followed(token)
    before = token.require("tenant")
    key, unfit = made()
    token.replace("tenant", (unfit,), key)
    for _ in range(3):
        followed(token, succession)
    assert fingerprints(succession) == [before.sha256]
    assert succession.open("tenant").certificate == before.certificate
    assert succession.refusals == 1
    [problem] = succession.problems()
    wanted = token.require("tenant").sha256
    assert f"served {before.sha256[:11]}, keystore {wanted[:11]}" in problem
    assert reason in problem
    refusal = succession.refused["tenant"]
    assert (refusal.fingerprint, refusal.in_force) == (wanted, before.sha256)
    [line] = caplog.records
    assert wanted in line.getMessage()
    assert before.sha256 in line.getMessage()


def test_a_refused_one_is_taken_once_what_it_lacked_is_there(token: InternalToken) -> None:
    succession = followed(token)
    issued = ISSUER.issue(NAME)
    token.replace("tenant", issued.chain, issued.key)
    assert followed(token, succession).problems() != []
    token.add_authority("Example Root", ISSUER.root)
    assert followed(token, succession).problems() == []
    assert token.require("tenant").sha256 in fingerprints(succession)


def test_what_was_removed_is_not_presented_any_more(token: InternalToken) -> None:
    succession = followed(token)
    token.remove("tenant")
    assert followed(token, succession).records == []
    with pytest.raises(KeystoreError, match="no certificate 'tenant'"):
        succession.open("tenant")


def test_those_that_options_name_are_told_and_counted_by_their_services(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    succession = followed(token)
    before = fingerprints(succession)
    token.replace("tenant", (certificate("other.example.test"),))
    succession.follow(token.inventory(), [INTERMEDIATE], datetime.now(UTC), {"tenant"})
    assert fingerprints(succession) == before
    assert (succession.refusals, succession.problems(), caplog.records) == (0, [], [])
    assert "tenant" in succession.refused


def test_an_unfit_one_with_nothing_before_it_is_told_once_it_is_asked_for(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    key, unfit = _expired()
    token.replace("tenant", (unfit,), key)
    succession = followed(token)
    assert caplog.records == []
    for _ in range(3):
        assert succession.open("tenant").certificate == unfit
    [line] = caplog.records
    assert "nickname=tenant is presented all the same: 'tenant' expired on" in line.getMessage()


def test_a_certificate_without_names_is_replaced_by_any(token: InternalToken) -> None:
    token.add_key_and_certificate("nameless", KEY, (certificate(),))
    succession = followed(token)
    token.replace("nameless", (certificate("other.example.test"),))
    assert followed(token, succession).problems() == []


def test_many_refusals_are_few_lines(
    token: InternalToken, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAXIMUM_LINES", 2)
    for number in range(4):
        token.add_key_and_certificate(f"n{number}", KEY, (certificate(f"n{number}.example.test"),))
    succession = followed(token)
    for number in range(4):
        token.replace(f"n{number}", (certificate("other.example.test"),))
    followed(token, succession)
    assert succession.refusals == 4
    assert [line.levelname for line in caplog.records] == ["ERROR", "ERROR", "WARNING"]
    assert "2 more refused" in caplog.text
    assert succession.problems(limit=2)[-1] == "sni: 2 more certificates are refused"
