"""Facts of a finished handshake."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest

from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.peer import TlsFacts
from mailfront.tls.context import build_server_context
from mailfront.tls.describe import MailSslObject, describe
from mailfront.tls.policy import policy_named
from tests.support.authority import self_signed
from tests.support.memory_tls import MemoryTlsClient, client_context


def facts_of(client: ssl.SSLContext, *, server_name: str | None = "mail.example.test") -> TlsFacts:
    context = build_server_context(
        [self_signed("imap-cert")], policy_named("intermediate"), alpn=("imap",), tickets=True
    ).ssl_context
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)

    def exchange(records: bytes) -> bytes:
        incoming.write(records)
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        return outgoing.read()

    MemoryTlsClient(exchange, client, server_name=server_name).handshake()
    return describe(server, "imap-cert")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_version_and_suite_are_told(version: ssl.TLSVersion) -> None:
    client = client_context()
    client.maximum_version = version
    facts = facts_of(client)
    assert facts.version == version.name.replace("_", ".")
    assert facts.suite.startswith("TLS_" if facts.version == "TLSv1.3" else "ECDHE-ECDSA-")
    assert facts.bits >= 128
    assert not facts.resumed
    assert facts.nickname == "imap-cert"


def test_the_server_name_and_the_protocol_asked_for_are_told() -> None:
    client = client_context()
    client.set_alpn_protocols(["imap"])
    facts = facts_of(client)
    assert (facts.server_name, facts.alpn) == ("mail.example.test", "imap")


def test_what_a_client_does_not_ask_for_is_none() -> None:
    facts = facts_of(client_context(), server_name=None)
    assert (facts.server_name, facts.alpn) == (None, None)


def test_the_client_certificate_is_what_the_request_found() -> None:
    found = ClientCertificate(b"leaf")

    class Request:
        def presented(self, tls: ssl.SSLObject) -> ClientCertificate:
            return found

    context = build_server_context(
        [self_signed("imap-cert")], policy_named("intermediate"), alpn=(), tickets=True
    ).ssl_context
    tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert isinstance(tls, MailSslObject)
    assert describe(tls, "imap-cert").client_certificate is None
    tls.certificate_request = Request()
    assert describe(tls, "imap-cert").client_certificate is found
