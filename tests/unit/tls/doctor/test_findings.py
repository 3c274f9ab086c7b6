"""Facts become objections, each with its standard and its remedy; what is well gets none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.errors import StarttlsFault
from mailfront.protocol.starttls_client import StarttlsProtocol
from mailfront.protocol.tls_probe.code_points import SUITES_12
from mailfront.tls.doctor.facts import (
    Examination,
    StapleFacts,
    StapleState,
    StarttlsFacts,
    SuiteFacts,
)
from mailfront.tls.doctor.findings import Finding, Severity, clear_logins, has_weight, judge
from mailfront.tls.doctor.target import IMAP, POP3, SMTP, target_of
from tests.support.issuing import Issuer
from tests.support.ocsp import RESPONDER, OcspAuthority

NOW = datetime.now(UTC)
ISSUED = Issuer().issue("mail.example.org")
INTERMEDIATE_SUITES = tuple(
    name
    for name in SUITES_12.values()
    if name.startswith("TLS_ECDHE_ECDSA_WITH_AES") and name.endswith(("GCM_SHA256", "GCM_SHA384"))
)


def good(*, starttls: StarttlsProtocol | None = None) -> Examination:
    """What a reviewer has nothing to say about."""
    facts = Examination(
        target_of("192.0.2.1", 1, "mail.example.org", starttls or IMAP, implicit=starttls is None)
    )
    facts.versions = {
        "TLSv1.3": True, "TLSv1.2": True, "TLSv1.1": False, "TLSv1": False, "SSLv3": False,
    }  # fmt: skip
    facts.suites = {"TLSv1.2": SuiteFacts(INTERMEDIATE_SUITES, server_order=True)}
    facts.groups = {"TLSv1.3": ("X25519MLKEM768", "x25519")}
    facts.chain = ISSUED.chain
    facts.trusted = facts.name_matches = True
    facts.compression = facts.sha1_signatures = False
    facts.secure_renegotiation = facts.extended_master_secret = True
    facts.foreign_alpn_refused = True
    if starttls is not None:
        announced = {SMTP: "STARTTLS", IMAP: "LOGINDISABLED", POP3: "STLS"}[starttls]
        facts.starttls = StarttlsFacts((announced,), (), injected_executed=False, again=False)
    return facts


def only(facts: Examination, now: datetime = NOW) -> Finding:
    (finding,) = judge(facts, now)
    assert finding.standard.startswith("RFC ")
    assert finding.remedy
    return finding


@pytest.mark.parametrize("starttls", [None, *StarttlsProtocol])
def test_what_is_well_gets_no_objection(starttls: StarttlsProtocol | None) -> None:
    findings = judge(good(starttls=starttls), NOW)
    assert findings == []
    assert not has_weight(findings)


def test_what_was_not_examined_is_no_objection() -> None:
    facts = Examination(target_of("192.0.2.1", 993, "x.example", IMAP, implicit=True))
    assert judge(facts, NOW) == []


@pytest.mark.parametrize(
    ("version", "severity"),
    [
        ("TLSv1.1", Severity.WARNING),
        ("TLSv1", Severity.WARNING),
        ("SSLv3", Severity.CRITICAL),
    ],
)
def test_old_versions_are_objected_to(version: str, severity: Severity) -> None:
    facts = good()
    facts.versions[version] = True
    finding = only(facts)
    assert finding.severity is severity
    assert version in finding.what
    assert "RFC 8996" in finding.standard


def test_a_port_without_any_version_is_no_tls_port() -> None:
    facts = good()
    facts.versions = dict.fromkeys(facts.versions, False)
    assert judge(facts, NOW)[0].severity is Severity.CRITICAL


def test_the_lack_of_tls_1_3_is_advice() -> None:
    facts = good()
    facts.versions["TLSv1.3"] = False
    assert only(facts).severity is Severity.ADVICE
    assert not has_weight(judge(facts, NOW))


@pytest.mark.parametrize(
    ("suite", "severity", "why"),
    [
        ("TLS_RSA_WITH_NULL_SHA", Severity.CRITICAL, "do not encrypt"),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", Severity.CRITICAL, "export"),
        ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", Severity.CRITICAL, "authentication"),
        ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", Severity.CRITICAL, "RC4"),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", Severity.WARNING, "3DES"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", Severity.WARNING, "forward secrecy"),
        ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", Severity.ADVICE, "finite field"),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Severity.ADVICE, "AEAD"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", Severity.ADVICE, "short"),
    ],
)
def test_a_suite_is_judged_by_its_worst_part(suite: str, severity: Severity, why: str) -> None:
    facts = good()
    facts.suites["TLSv1.2"] = SuiteFacts((*INTERMEDIATE_SUITES, suite), server_order=True)
    finding = only(facts)
    assert finding.severity is severity
    assert why in finding.what
    assert suite in finding.what


def test_the_client_s_order_matters_only_among_unequal_suites() -> None:
    facts = good()
    facts.suites["TLSv1.2"] = replace(facts.suites["TLSv1.2"], server_order=False)
    assert judge(facts, NOW) == []
    mixed = (*INTERMEDIATE_SUITES, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA")
    facts.suites["TLSv1.2"] = SuiteFacts(mixed, server_order=False)
    assert any("order" in finding.what for finding in judge(facts, NOW))


def test_a_short_prime_is_objected_to() -> None:
    facts = good()
    facts.suites["TLSv1.2"] = SuiteFacts(INTERMEDIATE_SUITES, True, smallest_prime=1024)
    assert "1024" in only(facts).what


def test_weak_groups_and_sha1_are_objected_to() -> None:
    facts = good()
    facts.groups["TLSv1.2"] = ("secp192r1",)
    assert "secp192r1" in only(facts).what
    facts = good()
    facts.sha1_signatures = True
    assert "RFC 9155" in only(facts).standard


@pytest.mark.parametrize(
    ("days", "severity", "what"),
    [(-120, Severity.CRITICAL, "expired"), (-85, Severity.WARNING, "expires in"),
     (5, Severity.CRITICAL, "not valid before")],
)  # fmt: skip
def test_dates_are_judged(days: int, severity: Severity, what: str) -> None:
    facts = good()
    facts.chain = Issuer().issue("mail.example.org", begins=NOW + timedelta(days=days)).chain
    finding = only(facts)
    assert finding.severity is severity
    assert what in finding.what


def test_a_weak_key_is_objected_to() -> None:
    facts = good()
    key = rsa.generate_private_key(65537, 1024)
    facts.chain = Issuer().issue("mail.example.org", key=key).chain
    assert "weak" in only(facts).what


def test_name_and_trust_are_two_objections() -> None:
    facts = good()
    facts.name_matches = False
    assert "RFC 9525" in only(facts).standard
    facts = good()
    facts.trusted, facts.trust_problem = False, "self-signed certificate"
    assert "self-signed" in only(facts).what
    facts.missing_issuer = "CN=Example Issuing CA"
    assert "Example Issuing CA" in only(facts).what


def test_details_of_the_protocol_are_judged() -> None:
    facts = good()
    facts.compression = True
    assert only(facts).severity is Severity.CRITICAL
    facts = good()
    facts.secure_renegotiation = False
    assert only(facts).severity is Severity.WARNING
    facts = good()
    facts.extended_master_secret = False
    assert only(facts).severity is Severity.ADVICE


def test_foreign_alpn_is_no_objection_where_the_protocol_has_no_name() -> None:
    facts = good()
    facts.foreign_alpn_refused = False
    assert only(facts).severity is Severity.ADVICE
    facts = good(starttls=SMTP)
    facts.foreign_alpn_refused = False
    assert judge(facts, NOW) == []


@pytest.mark.parametrize("fault", [*StarttlsFault, None])
def test_not_reaching_tls_is_critical(fault: StarttlsFault | None) -> None:
    facts = Examination(target_of("192.0.2.1", 25, "x.example", SMTP, implicit=False))
    facts.starttls_fault, facts.starttls_problem = fault, "why"
    finding = only(facts)
    assert finding.severity is Severity.CRITICAL
    assert "(why)" in finding.what


def test_what_starttls_lets_through_is_objected_to() -> None:
    facts = good(starttls=IMAP)
    assert facts.starttls is not None
    faults = {
        Severity.CRITICAL: replace(facts.starttls, injected_executed=True),
        Severity.WARNING: replace(facts.starttls, inside=("STARTTLS",)),
    }
    for severity, starttls in faults.items():
        facts.starttls = starttls
        assert only(facts).severity is severity
    facts.starttls = StarttlsFacts(("LOGINDISABLED",), (), again=True)
    assert "second" in only(facts).what
    facts.starttls = StarttlsFacts((), ())
    assert "in clear before TLS" in only(facts).what


@pytest.mark.parametrize(
    ("protocol", "announced", "logins"),
    [
        (SMTP, ("AUTH PLAIN LOGIN CRAM-MD5",), ["PLAIN", "LOGIN"]),
        (SMTP, ("AUTH=LOGIN", "AUTH LOGIN"), ["LOGIN"]),
        (SMTP, ("SIZE", "STARTTLS"), []),
        (IMAP, ("AUTH=PLAIN", "LOGINDISABLED"), ["PLAIN"]),
        (IMAP, ("STARTTLS",), ["the command LOGIN"]),
        (POP3, ("USER", "SASL PLAIN SCRAM-SHA-256"), ["PLAIN", "the command USER"]),
        (POP3, ("STLS",), []),
    ],
)
def test_logins_in_clear_are_seen(
    protocol: StarttlsProtocol, announced: tuple[str, ...], logins: list[str]
) -> None:
    assert clear_logins(protocol, announced) == logins


def test_the_gravest_comes_first() -> None:
    facts = good()
    facts.versions["TLSv1.3"], facts.compression, facts.secure_renegotiation = False, True, False
    severities = [finding.severity for finding in judge(facts, NOW)]
    assert severities == [Severity.CRITICAL, Severity.WARNING, Severity.ADVICE]


def staple_finding(staple: StapleFacts, *, url: str | None, demanded: bool) -> Finding | None:
    facts = good()
    _, leaf = OcspAuthority().issue("mail.example.org", url=url, must_staple=demanded)
    facts.chain, facts.staple = (leaf,), staple
    found = judge(facts, NOW)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("staple", "url", "demanded", "severity"),
    [
        (StapleFacts(StapleState.GOOD), RESPONDER, True, None),
        (StapleFacts(StapleState.UNJUDGED), RESPONDER, True, None),
        (StapleFacts(StapleState.NONE), None, False, None),
        (StapleFacts(StapleState.NONE), RESPONDER, False, Severity.ADVICE),
        (StapleFacts(StapleState.NONE), None, True, Severity.CRITICAL),
        (StapleFacts(StapleState.BAD, problem="old"), RESPONDER, False, Severity.WARNING),
        (StapleFacts(StapleState.UNKNOWN), RESPONDER, False, Severity.WARNING),
        (StapleFacts(StapleState.REVOKED), RESPONDER, False, Severity.CRITICAL),
    ],
)
def test_a_stapled_response_is_judged_with_what_the_certificate_wants(
    staple: StapleFacts, url: str | None, demanded: bool, severity: Severity | None
) -> None:
    found = staple_finding(staple, url=url, demanded=demanded)
    assert (found.severity if found is not None else None) is severity
