"""The report for people and the record for programs say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mailfront.cli.doctor_report import json_report, text_report
from mailfront.protocol.starttls_client import StarttlsProtocol
from mailfront.tls.doctor.facts import (
    Examination,
    StapleFacts,
    StapleState,
    StarttlsFacts,
    SuiteFacts,
)
from mailfront.tls.doctor.findings import Finding, Severity
from mailfront.tls.doctor.target import target_of
from tests.support.issuing import Issuer

NOW = datetime.now(UTC)
FINDING = Finding(Severity.WARNING, "something is wrong", "RFC 9325 section 4", "mend it")


def examined() -> Examination:
    facts = Examination(
        target_of("192.0.2.1", 143, "mail.example.org", StarttlsProtocol.IMAP, implicit=False)
    )
    facts.versions = {"TLSv1.3": True, "TLSv1.2": True, "SSLv3": False}
    facts.suites = {"TLSv1.3": SuiteFacts(("TLS_AES_128_GCM_SHA256",), server_order=None)}
    facts.groups = {"TLSv1.3": ("X25519MLKEM768", "x25519")}
    facts.signature_algorithms = {"TLSv1.3": "ecdsa_secp256r1_sha256"}
    facts.chain = Issuer().issue("mail.example.org").chain
    facts.missing_issuer = "CN=Example Root"
    facts.trusted, facts.trust_problem = False, "unable to get local issuer certificate"
    facts.name_matches = True
    facts.staple = StapleFacts(StapleState.GOOD, datetime(2031, 1, 2, 3, 4, tzinfo=UTC))
    facts.resumption = {"TLSv1.3": True, "TLSv1.2": False}
    facts.alpn, facts.foreign_alpn_refused = "imap", True
    facts.compression, facts.secure_renegotiation = False, True
    facts.starttls = StarttlsFacts(("STARTTLS",), ("AUTH=PLAIN",), False, "dropped", False)
    facts.not_examined = {"SSLv2": "not asked"}
    return facts


def test_the_text_has_every_fact() -> None:
    text = "\n".join(text_report(examined(), [FINDING], NOW))
    for words in (
        "192.0.2.1:143, STARTTLS (imap), as mail.example.org",
        "TLSv1.3, TLSv1.2 (refused: SSLv3)",
        "order not known",
        "TLS_AES_128_GCM_SHA256",
        "X25519MLKEM768, x25519",
        "ecdsa_secp256r1_sha256 (TLSv1.3)",
        "CN=Example Issuing CA",
        "DNS:mail.example.org",
        "EC P-256",
        "89 days left",
        "no: unable to get local issuer certificate",
        "the certificate of CN=Example Root",
        "matches mail.example.org",
        "good until 2031-01-02 03:04 UTC",
        "TLSv1.3: with a ticket",
        "secure (RFC 5746)",
        "AUTH=PLAIN",
        "dropped",
        "refused inside TLS",
        "SSLv2: not asked",
        "warning: something is wrong",
        "RFC 9325 section 4; mend it",
    ):
        assert words in text


def test_without_objections_the_text_says_so() -> None:
    assert text_report(examined(), [], NOW)[-1] == "No objection."


def test_what_was_not_examined_has_no_line() -> None:
    blank = Examination(target_of("::1", 443, "x.example", None, implicit=True))
    text = "\n".join(text_report(blank, [], NOW))
    assert "[::1]:443, TLS from the start, as x.example" in text
    for title in ("Versions", "Certificate", "Trusted", "Compression", "Injection"):
        assert title not in text


def test_the_record_survives_json() -> None:
    record = json_report(examined(), [FINDING], NOW)
    assert json.loads(json.dumps(record)) == record
    assert record["missing_issuer"] == "CN=Example Root"
    assert record["findings"] == [
        {
            "severity": "warning",
            "what": "something is wrong",
            "standard": "RFC 9325 section 4",
            "remedy": "mend it",
        }
    ]
