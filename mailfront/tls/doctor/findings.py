"""What a reviewer would object to: facts in, findings out, each with its standard and its remedy.

Pure. RFC 9325 (recommendations for TLS) first, then RFC 8314 (mail submission and access), RFC
3207, RFC 9051 and RFC 2595 (STARTTLS), RFC 9525 (names), RFC 8996 (old versions).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mailfront.errors import StarttlsFault
from mailfront.keystore.expiry import days_left
from mailfront.keystore.formats import name_text
from mailfront.keystore.key_strength import weakness
from mailfront.keystore.ocsp import must_staple, responder_urls
from mailfront.protocol.starttls_client import StarttlsProtocol
from mailfront.tls.doctor.facts import Examination, StapleState, SuiteFacts

EXPIRY_WARNING_DAYS = 14
SMALLEST_PRIME = 2048
_MODERN = "mailfront's profile `intermediate` does so"


class Severity(enum.IntEnum):
    """How much it weighs: from `WARNING` on it is a reason to act."""

    ADVICE = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One objection: what is wrong, by which standard, and what to do."""

    severity: Severity
    what: str
    standard: str
    remedy: str


def judge(facts: Examination, now: datetime) -> list[Finding]:
    """All findings, the gravest first."""
    findings = [
        *_reaching_tls(facts),
        *_versions(facts),
        *_suites(facts),
        *_key_exchange(facts),
        *_certificate(facts, now),
        *_trust(facts),
        *_staple(facts),
        *_protocol_details(facts),
        *_starttls(facts),
    ]
    return sorted(findings, key=lambda finding: -finding.severity)


def has_weight(findings: list[Finding]) -> bool:
    """Whether one of them is more than advice."""
    return any(finding.severity >= Severity.WARNING for finding in findings)


_STARTTLS_STANDARD = {
    StarttlsProtocol.SMTP: "RFC 3207 section 4",
    StarttlsProtocol.IMAP: "RFC 9051 section 6.2.1",
    StarttlsProtocol.POP3: "RFC 2595 section 4",
}
_FAULTS = {
    StarttlsFault.NOT_OFFERED: "STARTTLS is not offered, or was removed on the way",
    StarttlsFault.REFUSED: "the server does not bring a client to TLS",
    StarttlsFault.MALFORMED: "the server breaks the protocol before TLS",
    StarttlsFault.INJECTION: "octets in clear stand behind the go-ahead for TLS: a server that "
    "answers too early, or an attacker on the way",
    StarttlsFault.PREAUTH: "the greeting is PREAUTH: no TLS can follow",
}


def _reaching_tls(facts: Examination) -> Iterator[Finding]:
    if not facts.starttls_problem:
        if not facts.accepted_versions and (facts.versions or facts.not_examined):
            why = facts.not_examined.get("TLSv1.3", "all are refused")
            yield Finding(
                Severity.CRITICAL,
                f"no version of TLS is accepted ({why})",
                "RFC 9325 section 3.1.1",
                "is this a TLS port? Where TLS begins with a command, use --starttls",
            )
        return
    fault = facts.starttls_fault
    what = _FAULTS[fault] if fault else "the server does not speak the protocol"
    yield Finding(
        Severity.CRITICAL,
        f"{what} ({facts.starttls_problem})",
        _STARTTLS_STANDARD[facts.target.starttls] if facts.target.starttls else "RFC 9325",
        "switch STARTTLS on, or use the port with TLS from the start (RFC 8314 section 3); look "
        "for what changes the connection on the way",
    )


def _versions(facts: Examination) -> Iterator[Finding]:
    accepted = facts.accepted_versions
    old = [name for name in accepted if name in ("SSLv3", "TLSv1", "TLSv1.1")]
    if old:
        yield Finding(
            Severity.CRITICAL if "SSLv3" in old else Severity.WARNING,
            f"old versions are accepted: {', '.join(old)}",
            "RFC 9325 section 3.1.1, RFC 8996",
            f"accept TLS 1.2 and newer only; {_MODERN}",
        )
    if accepted and "TLSv1.3" not in accepted and facts.versions.get("TLSv1.3") is False:
        yield Finding(
            Severity.ADVICE,
            "TLS 1.3 is not accepted",
            "RFC 9325 section 3.1.1",
            "use a TLS library that has it",
        )


# What stands in a suite's name, how much it weighs, why, and where that is written.
_SUITE_RULES = (
    ("_NULL_", Severity.CRITICAL, "do not encrypt", "RFC 9325 section 4.1"),
    ("_EXPORT_", Severity.CRITICAL, "are of export grade", "RFC 9325 section 4.1"),
    ("_anon_", Severity.CRITICAL, "have no authentication", "RFC 9325 section 4.1"),
    ("_RC4_", Severity.CRITICAL, "use RC4", "RFC 9325 section 4.1, RFC 7465"),
    ("_DES_", Severity.CRITICAL, "use DES", "RFC 9325 section 4.1, RFC 5469"),
    ("_IDEA_", Severity.WARNING, "use IDEA", "RFC 5469"),
    ("_3DES_", Severity.WARNING, "use 3DES with its short blocks", "RFC 9325 section 4.1"),
    ("TLS_RSA_", Severity.WARNING, "have no forward secrecy", "RFC 9325 section 4.1"),
    ("TLS_DHE_", Severity.ADVICE, "use finite field Diffie-Hellman", "RFC 9325 section 4.1"),
    ("_CBC_", Severity.ADVICE, "are not AEAD", "RFC 9325 section 4.2"),
    ("_CCM_8", Severity.ADVICE, "have a short authentication tag", "RFC 9325 section 4.2"),
)


def _suites(facts: Examination) -> Iterator[Finding]:
    by_rule: dict[int, list[str]] = {}
    for suites in facts.suites.values():
        for suite in suites.suites:
            rule = _rule_of(suite)
            if rule is not None and suite not in by_rule.setdefault(rule, []):
                by_rule[rule].append(suite)
    for rule, names in sorted(by_rule.items()):
        _, severity, why, standard = _SUITE_RULES[rule]
        yield Finding(
            severity,
            f"{len(names)} suites {why}: {_some(names)}",
            standard,
            f"offer ECDHE with AES-GCM or ChaCha20-Poly1305 only; {_MODERN}",
        )
    for version, suites in facts.suites.items():
        yield from _order(version, suites)


def _rule_of(suite: str) -> int | None:
    """The first rule that the suite breaks: the gravest counts."""
    for number, (mark, *_) in enumerate(_SUITE_RULES):
        if mark in suite:
            return number
    return None


def _order(version: str, suites: SuiteFacts) -> Iterator[Finding]:
    # Among suites that are all good the client's order is as good as the server's.
    mixed = any(_rule_of(suite) is not None for suite in suites.suites)
    if suites.server_order is False and mixed:
        yield Finding(
            Severity.ADVICE,
            f"{version}: the client's order of suites counts, not the server's",
            "RFC 9325 section 4.2.1",
            "let the server's preference decide",
        )
    if 0 < suites.smallest_prime < SMALLEST_PRIME:
        yield Finding(
            Severity.CRITICAL,
            f"{version}: Diffie-Hellman with a prime of {suites.smallest_prime} bits",
            "RFC 9325 section 4.5",
            f"use ECDHE, or a prime of at least {SMALLEST_PRIME} bits",
        )


_WEAK_GROUPS = frozenset({"secp192r1", "secp224r1"})


def _key_exchange(facts: Examination) -> Iterator[Finding]:
    groups = {group for found in facts.groups.values() for group in found}
    if weak := sorted(groups & _WEAK_GROUPS):
        yield Finding(
            Severity.WARNING,
            f"weak groups are accepted: {', '.join(weak)}",
            "RFC 9325 section 4.5",
            "accept X25519 and P-256, and hybrids with ML-KEM",
        )
    if facts.sha1_signatures:
        yield Finding(
            Severity.WARNING,
            "the key exchange is signed with SHA-1 for a client that offers nothing else",
            "RFC 9155 section 3",
            "allow signature algorithms with SHA-256 and better only",
        )


def _certificate(facts: Examination, now: datetime) -> Iterator[Finding]:
    leaf = facts.leaf
    if leaf is None:
        return
    renew = "install a certificate that is valid"
    if now > leaf.not_valid_after_utc:
        what = f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
        yield Finding(Severity.CRITICAL, what, "RFC 5280 section 4.1.2.5", renew)
    elif now < leaf.not_valid_before_utc:
        what = f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        yield Finding(Severity.CRITICAL, what, "RFC 5280 section 4.1.2.5", renew)
    elif (left := days_left(leaf, now)) <= EXPIRY_WARNING_DAYS:
        what = f"the certificate expires in {left} days"
        yield Finding(Severity.WARNING, what, "RFC 5280 section 4.1.2.5", "renew it now")
    for certificate in facts.chain:
        if fault := _strength_fault(certificate):
            yield Finding(
                Severity.CRITICAL,
                f"{name_text(certificate.subject)}: {fault}",
                "RFC 9325 section 4.5",
                "have one made anew, with a new key",
            )
    if facts.name_matches is False:
        yield Finding(
            Severity.CRITICAL,
            f"the certificate is not for {facts.target.name}",
            "RFC 9525 section 6",
            "have one made that names it among its alternative names, or give --name",
        )


def _strength_fault(certificate: x509.Certificate) -> str:
    try:
        fault = weakness(certificate.public_key())
        algorithm = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return "a kind of key or signature that clients may not know"
    # A root's signature of itself is verified by nobody.
    is_root = certificate.issuer == certificate.subject
    if not fault and not is_root and algorithm is not None and algorithm.name in ("md5", "sha1"):
        return f"signed with {algorithm.name.upper()}"
    return fault


def _trust(facts: Examination) -> Iterator[Finding]:
    if facts.trusted is not False:
        return
    if facts.missing_issuer:
        yield Finding(
            Severity.WARNING,
            f"the chain is incomplete or ends at an unknown authority: the certificate of "
            f"{facts.missing_issuer} is missing ({facts.trust_problem})",
            "RFC 8446 section 4.4.2",
            "present the leaf with its intermediates (fullchain.pem); for an own CA add --ca FILE",
        )
    else:
        yield Finding(
            Severity.WARNING,
            f"clients do not trust the certificate: {facts.trust_problem}",
            "RFC 8314 section 4.4, RFC 5280 section 6",
            "use a certificate of a CA that clients know; for an own CA add --ca FILE",
        )


def _staple(facts: Examination) -> Iterator[Finding]:
    staple, leaf = facts.staple, facts.leaf
    if staple is None or leaf is None:
        return
    remedy = "look at the server's OCSP stapling; for mailfront: mailfront status"
    if staple.state is StapleState.REVOKED:
        what = "the certificate is revoked, says its issuer"
        yield Finding(Severity.CRITICAL, what, "RFC 6960 section 2.2", "replace it")
    elif staple.state in (StapleState.BAD, StapleState.UNKNOWN):
        what = f"the stapled OCSP response is of no use ({staple.problem or staple.state.value})"
        yield Finding(Severity.WARNING, what, "RFC 6066 section 8", remedy)
    elif staple.state is StapleState.NONE and must_staple(leaf):
        what = "no OCSP response is stapled, which the certificate demands"
        yield Finding(Severity.CRITICAL, what, "RFC 7633", remedy)
    elif staple.state is StapleState.NONE and responder_urls(leaf):
        what = "no OCSP response is stapled, though the certificate names a responder"
        yield Finding(Severity.ADVICE, what, "RFC 9325 section 7.5", remedy)


def _protocol_details(facts: Examination) -> Iterator[Finding]:
    if facts.compression:
        yield Finding(
            Severity.CRITICAL,
            "TLS compression is accepted",
            "RFC 9325 section 3.3",
            "switch it off",
        )
    if facts.secure_renegotiation is False:
        yield Finding(
            Severity.WARNING,
            "secure renegotiation is not supported",
            "RFC 9325 section 3.5, RFC 5746",
            "use a TLS library that has it",
        )
    if facts.extended_master_secret is False:
        yield Finding(
            Severity.ADVICE,
            "the extended master secret is not supported",
            "RFC 9325 section 3.5, RFC 7627",
            "use a TLS library that has it",
        )
    # SMTP has no name in the registry of RFC 7301, so a server has nothing to compare with.
    if facts.foreign_alpn_refused is False and facts.target.alpn:
        yield Finding(
            Severity.ADVICE,
            "a client that offers only a foreign ALPN protocol is served",
            "RFC 9325 section 3.8, RFC 7301 section 3.2",
            "refuse it with no_application_protocol (against cross-protocol attacks)",
        )


_INSIDE_ONLY = {
    StarttlsProtocol.SMTP: ("STARTTLS", "RFC 3207 section 4.2"),
    StarttlsProtocol.IMAP: ("STARTTLS", "RFC 9051 section 6.2.1"),
    StarttlsProtocol.POP3: ("STLS", "RFC 2595 section 4"),
}


def _starttls(facts: Examination) -> Iterator[Finding]:
    protocol, starttls = facts.target.starttls, facts.starttls
    if protocol is None or starttls is None:
        return
    command, standard = _INSIDE_ONLY[protocol]
    if starttls.injected_executed:
        yield Finding(
            Severity.CRITICAL,
            f"a command in clear behind {command} is executed inside TLS: an attacker's commands "
            "become the user's",
            standard,
            "update the server; it must empty its buffers before the handshake",
        )
    if starttls.inside is not None and command in starttls.inside:
        yield Finding(
            Severity.WARNING,
            f"{command} is still announced inside TLS",
            standard,
            "update the server: it keeps the state of the clear session",
        )
    if starttls.again:
        yield Finding(
            Severity.WARNING,
            f"a second {command} is accepted inside TLS",
            standard,
            "update the server",
        )
    if logins := clear_logins(protocol, starttls.clear):
        yield Finding(
            Severity.WARNING,
            f"passwords are taken in clear before TLS ({', '.join(logins)})",
            "RFC 8314 section 4.1, RFC 9325 section 3.2",
            "offer logins inside TLS only",
        )


def clear_logins(protocol: StarttlsProtocol, capabilities: tuple[str, ...]) -> list[str]:
    """The ways to send a password that are announced in clear."""
    if protocol is StarttlsProtocol.SMTP:
        lines = [line for line in capabilities if line.startswith(("AUTH ", "AUTH="))]
        return _password_mechanisms(word for line in lines for word in line[5:].split())
    if protocol is StarttlsProtocol.IMAP:
        mechanisms = _password_mechanisms(
            word[5:] for word in capabilities if word.startswith("AUTH=")
        )
        # Without this word the command LOGIN is allowed (RFC 9051 section 6.2.3).
        return mechanisms if "LOGINDISABLED" in capabilities else [*mechanisms, "the command LOGIN"]
    sasl = [line for line in capabilities if line.startswith("SASL ")]
    mechanisms = _password_mechanisms(word for line in sasl for word in line[5:].split())
    return [*mechanisms, "the command USER"] if "USER" in capabilities else mechanisms


def _password_mechanisms(mechanisms: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(word for word in mechanisms if word in ("PLAIN", "LOGIN")))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
