"""Whether clients would believe a certificate is what OpenSSL says, in a handshake in memory."""

from __future__ import annotations

import ssl
from contextlib import suppress

from mailfront.tls.context import build_server_context
from mailfront.tls.doctor.trust import Handshake, lenient_context, missing_issuer, verify
from mailfront.tls.policy import policy_named
from tests.support.authority import self_signed
from tests.support.issuing import Issuer

CREDENTIALS = self_signed("x", "mail.example.org")
LEAF = CREDENTIALS.certificate


def asking_for(name: str) -> Handshake:
    server_context = build_server_context(
        [CREDENTIALS], policy_named("intermediate"), alpn=(), tickets=False
    ).ssl_context

    def handshake(context: ssl.SSLContext) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname=name)
        server = server_context.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        client.do_handshake()

    return handshake


def test_a_trusted_certificate_for_the_name_has_no_problem() -> None:
    verdict = verify(asking_for("mail.example.org"), LEAF, "mail.example.org", [LEAF])
    assert (verdict.trusted, verdict.problem, verdict.name_matches) == (True, "", True)


def test_an_unknown_issuer_is_told_apart_from_the_name() -> None:
    verdict = verify(asking_for("mail.example.org"), LEAF, "mail.example.org", [])
    assert (verdict.trusted, verdict.name_matches) == (False, True)
    assert "self-signed" in verdict.problem.replace("self signed", "self-signed")


def test_another_name_is_told_apart_from_trust() -> None:
    verdict = verify(asking_for("other.example.org"), LEAF, "other.example.org", [LEAF])
    assert (verdict.trusted, verdict.problem, verdict.name_matches) == (True, "", False)


def test_an_address_is_compared_with_addresses() -> None:
    verdict = verify(asking_for("192.0.2.1"), LEAF, "192.0.2.1", [LEAF])
    assert (verdict.trusted, verdict.name_matches) == (True, False)


def test_both_may_be_wrong() -> None:
    verdict = verify(asking_for("other.example.org"), LEAF, "other.example.org", [])
    assert (verdict.trusted, verdict.name_matches) == (False, False)


def test_a_missing_intermediate_is_named() -> None:
    issuer = Issuer()
    leaf, intermediate = issuer.issue("mail.example.org").chain
    assert "Example Issuing CA" in missing_issuer([leaf], [issuer.root])
    assert missing_issuer([leaf, intermediate], [issuer.root]) == ""


def test_who_only_looks_accepts_everything() -> None:
    asking_for("other.example.org")(lenient_context())
