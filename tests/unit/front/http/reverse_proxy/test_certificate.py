"""Whom a client certificate stands for, told in header fields."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from mailfront.errors import WebServerError
from mailfront.front.http.reverse_proxy.certificate import (
    KEPT_SECONDS,
    CertificateHeaders,
    subject_of,
)
from mailfront.front.http.reverse_proxy.settings import ProxySettings
from mailfront.interfaces.authenticator import Identity, LoginClient, Refusal
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import TlsFacts
from tests.support.client_authority import ClientAuthority, ClientIdentity, der
from tests.support.memory_browser import MemoryTransport
from tests.support.memory_mail import MemoryAuthenticator

USER = "alice@example.test"


@dataclass
class Desk(MemoryAuthenticator):
    """Counts how often it is asked; what it accepts is verified."""

    asked: int = 0

    async def certificate_holder(self, client: LoginClient) -> Identity | Refusal:
        self.asked += 1
        return await super().certificate_holder(client)

    def accepts_certificate(self, client: LoginClient) -> bool:
        return client.certificate is not None and client.certificate.verified


@pytest.fixture(scope="module")
def identity() -> ClientIdentity:
    return ClientAuthority("Staff CA").issue("alice")


def request_with(certificate: ClientCertificate | None) -> web.Request:
    facts = TlsFacts("TLSv1.3", "X", 128, False, "n", client_certificate=certificate)
    return make_mocked_request("GET", "/", transport=MemoryTransport(facts))


async def test_who_presents_an_accepted_certificate_is_named(identity: ClientIdentity) -> None:
    headers = CertificateHeaders(ProxySettings(), Desk({}, holder=USER))
    told = await headers.of(request_with(ClientCertificate(identity.leaf)))
    assert told["X-Client-User"] == USER
    assert told["X-Client-DN"] == identity.certificate.subject.rfc4514_string()
    assert len(told["X-Client-Fingerprint"]) == 64


async def test_without_one_or_with_a_fault_nobody_is(identity: ClientIdentity) -> None:
    headers = CertificateHeaders(ProxySettings(), Desk({}, holder=USER))
    expired = ClientCertificate(identity.leaf, fault=CertificateFault.EXPIRED)
    assert await headers.of(request_with(None)) == {}
    assert await headers.of(request_with(expired)) == {}


async def test_a_certificate_of_no_user_is_told_without_one(identity: ClientIdentity) -> None:
    headers = CertificateHeaders(ProxySettings(name_header=""), Desk({}))
    told = await headers.of(request_with(ClientCertificate(identity.leaf)))
    assert list(told) == ["X-Client-Fingerprint"]


async def test_the_user_is_asked_for_once_a_minute(identity: ClientIdentity) -> None:
    desk, now = Desk({}, holder=USER), [0.0]
    headers = CertificateHeaders(ProxySettings(), desk, clock=lambda: now[0])
    request = request_with(ClientCertificate(identity.leaf))
    for _ in range(3):
        await headers.of(request)
    assert desk.asked == 1
    now[0] = KEPT_SECONDS
    desk.holder = ""
    assert "X-Client-User" not in await headers.of(request)


async def test_a_directory_that_is_away_makes_nobody_anonymous(identity: ClientIdentity) -> None:
    headers = CertificateHeaders(ProxySettings(), Desk({}, unavailable=True))
    with pytest.raises(WebServerError) as failure:
        await headers.of(request_with(ClientCertificate(identity.leaf)))
    assert failure.value.status == 503


def test_a_subject_is_printable_ascii() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Jörg\r\nX: y")])
    issued = ClientAuthority("CA").issue("x")
    assert subject_of(b"no certificate") == ""
    assert subject_of(der(issued.certificate)).isascii()
    builder = x509.CertificateBuilder(
        name, name, issued.key.public_key(), 1,
        issued.certificate.not_valid_before_utc, issued.certificate.not_valid_after_utc,
    )  # fmt: skip
    subject = subject_of(der(builder.sign(issued.key, hashes.SHA256())))
    assert subject.isprintable()
    assert subject.startswith("CN=J\\C3\\B6rg")
