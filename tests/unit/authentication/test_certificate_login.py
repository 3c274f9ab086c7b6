"""What a certificate means beside other credentials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.authentication.certificate_login import CertificateLogin, LoginRules
from mailfront.directory.entry import AccountStatus
from mailfront.errors import DirectoryUnavailableError, MappingRefusedError
from mailfront.interfaces.authenticator import LoginClient
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import Peer
from tests.support.login_desk import ALICE, BOB, CERTIFICATE, OneMapping

PEER = Peer("192.0.2.1", 40000, "192.0.2.99", 993)


def client(certificate: ClientCertificate | None = CERTIFICATE) -> LoginClient:
    return LoginClient("imap", PEER, "PLAIN", certificate)


def login(mapper: OneMapping | None = None, rules: LoginRules | None = None) -> CertificateLogin:
    return CertificateLogin(mapper, None if rules is None else {"imap": rules})


async def test_the_holder_is_whom_the_certificate_maps_to() -> None:
    mapper = OneMapping()
    assert await login(mapper).holder(client()) is None
    mapper.entry = ALICE
    assert await login(mapper).holder(client()) == ALICE


@pytest.mark.parametrize(
    "certificate", [None, ClientCertificate(b"x", fault=CertificateFault.REVOKED)]
)
async def test_without_an_accepted_certificate_nobody_is_asked(
    certificate: ClientCertificate | None,
) -> None:
    mapper = OneMapping()
    mapper.failure = AssertionError("asked")
    assert not login(mapper).accepts(client(certificate))
    assert await login(mapper).holder(client(certificate)) is None


async def test_a_deleted_account_and_a_server_without_mappings_are_nobody() -> None:
    mapper = OneMapping()
    mapper.entry = replace(ALICE, status=AccountStatus.DELETED)
    for one in (login(mapper), login()):
        with pytest.raises(MappingRefusedError):
            await one.mapped(client())
        assert await one.holder(client()) is None


async def test_what_cannot_be_told_now_is_not_taken_for_nobody() -> None:
    mapper = OneMapping()
    mapper.failure = DirectoryUnavailableError("no answer")
    with pytest.raises(DirectoryUnavailableError):
        await login(mapper).holder(client())


def test_somebody_else_than_the_holder_is_a_stranger_unless_the_service_allows_it() -> None:
    strict, lenient = login(), login(rules=LoginRules(other_user=True))
    assert strict.stranger(client(), BOB, ALICE) is not None
    assert strict.stranger(client(), None, ALICE) is not None
    assert strict.stranger(client(), ALICE, ALICE) is None
    assert strict.stranger(client(), BOB, None) is None
    assert lenient.stranger(client(), BOB, ALICE) is None
    assert lenient.rules_of(replace(client(), service="pop")) == LoginRules()
