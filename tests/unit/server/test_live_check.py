"""Where what is served differs from the configuration, told from facts alone."""

from __future__ import annotations

from pathlib import Path

from mailfront.keystore.formats import sha256_fingerprint
from mailfront.protocol.starttls_client import StarttlsProtocol
from mailfront.server.live_check import deviations, trusted_authorities
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.doctor.facts import Examination, SuiteFacts
from mailfront.tls.doctor.target import target_of
from mailfront.tls.policy import policy_named
from tests.support.authority import self_signed
from tests.support.keystores import authority, new_token

CREDENTIALS = self_signed("imap-cert")
PRESENTED = {sha256_fingerprint(CREDENTIALS.certificate)}


def configured(profile: str = "intermediate") -> ServerContext:
    return build_server_context([CREDENTIALS], policy_named(profile), alpn=(), tickets=False)


def served() -> Examination:
    facts = Examination(
        target_of("127.0.0.1", 993, "localhost", StarttlsProtocol.IMAP, implicit=True)
    )
    facts.versions = {"TLSv1.3": True, "TLSv1.2": True, "TLSv1.1": False}
    facts.suites = {"TLSv1.2": SuiteFacts(("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",))}
    facts.chain = (CREDENTIALS.certificate,)
    return facts


def test_what_is_served_as_configured_deviates_in_nothing() -> None:
    assert list(deviations(served(), configured(), PRESENTED)) == []


def test_what_was_not_examined_deviates_in_nothing() -> None:
    blank = Examination(served().target)
    assert list(deviations(blank, configured(), PRESENTED)) == []


def test_another_certificate_is_told() -> None:
    facts = served()
    facts.chain = (self_signed("other").certificate,)
    (told,) = deviations(facts, configured(), PRESENTED)
    assert "another certificate" in told
    assert "imap-cert" in told


def test_a_version_below_the_profile_is_told() -> None:
    facts = served()
    facts.versions["TLSv1.1"] = True
    (told,) = deviations(facts, configured(), PRESENTED)
    assert "TLSv1.1" in told


def test_a_suite_outside_the_profile_is_told() -> None:
    facts = served()
    facts.suites["TLSv1.2"] = SuiteFacts(("TLS_RSA_WITH_AES_128_CBC_SHA",))
    (told,) = deviations(facts, configured(), PRESENTED)
    assert "TLS_RSA_WITH_AES_128_CBC_SHA" in told


def test_only_authorities_trusted_for_servers_are_trusted(tmp_path: Path) -> None:
    _, servers = authority("For servers")
    _, clients = authority("For clients")
    with new_token(tmp_path) as token:
        token.add_authority("servers", servers, "C")
        token.add_authority("clients", clients, "T")
        assert trusted_authorities(token) == [servers]
