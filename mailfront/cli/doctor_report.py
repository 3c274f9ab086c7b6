"""An examination for people and for programs: text lines, or a JSON record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mailfront.cli.output import JsonValue
from mailfront.errors import KeystoreError
from mailfront.keystore.expiry import days_left
from mailfront.keystore.formats import (
    alternative_names,
    key_description,
    name_text,
    sha256_fingerprint,
)
from mailfront.tls.doctor.facts import Examination, StapleFacts, StarttlsFacts
from mailfront.tls.doctor.findings import Finding

_WIDTH = 16


def text_report(facts: Examination, findings: Sequence[Finding], now: datetime) -> list[str]:
    """The lines of the report: what was found, what was not examined, and the objections."""
    target = facts.target
    how = f"STARTTLS ({target.starttls.value})" if target.starttls else "TLS from the start"
    lines = [f"{target}, {how}, as {target.name}", ""]
    lines += [f"{title:<{_WIDTH}}{text}" for title, text in _rows(facts, now)]
    if facts.not_examined:
        lines += ["", "Not examined:"]
        lines += [f"  {what}: {why}" for what, why in facts.not_examined.items()]
    lines.append("")
    if not findings:
        return [*lines, "No objection."]
    lines.append("Objections:")
    for finding in findings:
        lines.append(f"  {finding.severity.name.lower()}: {finding.what}")
        lines.append(f"    {finding.standard}; {finding.remedy}")
    return lines


def _rows(facts: Examination, now: datetime) -> Iterator[tuple[str, str]]:
    refused = [name for name, accepted in facts.versions.items() if not accepted]
    if facts.versions:
        accepted = ", ".join(facts.accepted_versions) or "none"
        yield "Versions", f"{accepted} (refused: {', '.join(refused) or 'none'})"
    for version, suites in facts.suites.items():
        order = {True: "server's order", False: "client's order", None: "order not known"}
        yield f"Suites {version}", f"({order[suites.server_order]})"
        for suite in suites.suites:
            yield "", f"  {suite}"
    for version, groups in facts.groups.items():
        yield f"Groups {version}", ", ".join(groups) or "none"
    for version, algorithm in facts.signature_algorithms.items():
        yield "Signature", f"{algorithm} ({version})"
    for number, certificate in enumerate(facts.chain):
        yield from _certificate_rows(certificate, "Certificate" if number == 0 else "Issuer", now)
    yield from _judgement_rows(facts)
    yield from _behaviour_rows(facts)
    if facts.starttls is not None:
        yield from _starttls_rows(facts.starttls)


def _behaviour_rows(facts: Examination) -> Iterator[tuple[str, str]]:
    for version, resumed in facts.resumption.items():
        yield "Resumption", f"{version}: {'with a ticket' if resumed else 'no ticket'}"
    if facts.target.alpn:
        yield "ALPN", facts.alpn or "none chosen"
    if facts.foreign_alpn_refused is not None:
        yield "Foreign ALPN", "refused" if facts.foreign_alpn_refused else "served all the same"
    for title, value in (
        ("Compression", facts.compression),
        ("Renegotiation", facts.secure_renegotiation),
    ):
        if value is not None:
            yield title, _DETAILS[title][value]


_DETAILS = {
    "Compression": ("none", "ACCEPTED"),
    "Renegotiation": ("not protected", "secure (RFC 5746)"),
}


def _certificate_rows(
    certificate: x509.Certificate, title: str, now: datetime
) -> Iterator[tuple[str, str]]:
    yield title, name_text(certificate.subject)
    yield "  issued by", name_text(certificate.issuer)
    if title == "Certificate":
        yield "  names", ", ".join(_names(certificate)) or "none"
    yield "  key", _key(certificate)
    left = days_left(certificate, now)
    state = f"{left} days left" if left >= 0 else "EXPIRED"
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    yield "  valid", f"{begins:%Y-%m-%d} to {ends:%Y-%m-%d}, {state}"
    yield "  SHA-256", sha256_fingerprint(certificate)


def _judgement_rows(facts: Examination) -> Iterator[tuple[str, str]]:
    if facts.trusted is not None:
        yield "Trusted", "yes" if facts.trusted else f"no: {facts.trust_problem}"
    if facts.missing_issuer:
        yield "Missing", f"the certificate of {facts.missing_issuer}"
    if facts.staple is not None:
        yield "OCSP response", _staple(facts.staple)
    if facts.name_matches is not None:
        yield "Name", f"{'matches' if facts.name_matches else 'DOES NOT MATCH'} {facts.target.name}"


def _staple(staple: StapleFacts) -> str:
    until = f" until {staple.until:%Y-%m-%d %H:%M} UTC" if staple.until else ""
    problem = f" ({staple.problem})" if staple.problem else ""
    return f"{staple.state.value}{until}{problem}"


def _starttls_rows(starttls: StarttlsFacts) -> Iterator[tuple[str, str]]:
    yield "In clear", ", ".join(starttls.clear) or "nothing announced"
    if starttls.inside is not None:
        yield "Inside TLS", ", ".join(starttls.inside) or "nothing announced"
    if starttls.injection_outcome:
        yield "Injection", f"a command in clear behind STARTTLS: {starttls.injection_outcome}"
    if starttls.again is not None:
        yield "STARTTLS again", "ACCEPTED inside TLS" if starttls.again else "refused inside TLS"


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        return alternative_names(certificate)
    except (KeystoreError, ValueError):
        return []


def _key(certificate: x509.Certificate) -> str:
    try:
        return key_description(certificate.public_key())
    except (UnsupportedAlgorithm, ValueError):
        return "of an unknown kind"


def json_report(
    facts: Examination, findings: Sequence[Finding], now: datetime
) -> dict[str, JsonValue]:
    """The same as a record; what was not examined is null or missing."""
    starttls = facts.starttls
    return {
        "host": facts.target.host,
        "port": facts.target.port,
        "name": facts.target.name,
        "starttls": facts.target.starttls.value if facts.target.starttls else None,
        "versions": {**facts.versions},
        "suites": {
            version: {"suites": list(suites.suites), "server_order": suites.server_order}
            for version, suites in facts.suites.items()
        },
        "groups": {version: list(groups) for version, groups in facts.groups.items()},
        "signature_algorithms": {**facts.signature_algorithms},
        "chain": [_certificate_record(certificate, now) for certificate in facts.chain],
        "missing_issuer": facts.missing_issuer,
        "trusted": facts.trusted,
        "trust_problem": facts.trust_problem,
        "name_matches": facts.name_matches,
        "staple": None if facts.staple is None else _staple_record(facts.staple),
        "resumption": {**facts.resumption},
        "alpn": facts.alpn,
        "foreign_alpn_refused": facts.foreign_alpn_refused,
        "compression": facts.compression,
        "secure_renegotiation": facts.secure_renegotiation,
        "extended_master_secret": facts.extended_master_secret,
        "sha1_signatures": facts.sha1_signatures,
        "starttls_facts": None
        if starttls is None
        else {
            "clear": list(starttls.clear),
            "inside": None if starttls.inside is None else list(starttls.inside),
            "injected_executed": starttls.injected_executed,
            "injection_outcome": starttls.injection_outcome,
            "accepted_again": starttls.again,
        },
        "not_examined": {**facts.not_examined},
        "findings": [
            {
                "severity": finding.severity.name.lower(),
                "what": finding.what,
                "standard": finding.standard,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def _staple_record(staple: StapleFacts) -> dict[str, JsonValue]:
    return {
        "state": staple.state.value,
        "until": staple.until.isoformat() if staple.until else None,
        "problem": staple.problem,
    }


def _certificate_record(certificate: x509.Certificate, now: datetime) -> dict[str, JsonValue]:
    return {
        "subject": name_text(certificate.subject),
        "issuer": name_text(certificate.issuer),
        "names": list(_names(certificate)),
        "key": _key(certificate),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "days_left": days_left(certificate, now),
        "sha256": sha256_fingerprint(certificate),
    }
