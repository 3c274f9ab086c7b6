"""Is everything in the certificate database as it should be? Nothing is changed by asking.

Takes an opened token, the present, and which host names each served nickname must be for; returns
findings, the database's own first. Altered rows, keys that are not their certificate's, dates,
chains that end at no trusted CA, names that are not covered (RFC 9525 section 6.3).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from mailfront.errors import KeystoreError
from mailfront.keystore import formats, schema
from mailfront.keystore.chain import build_chain, is_issued_by
from mailfront.keystore.expiry import ValidityState, validity_state
from mailfront.keystore.host_names import patterns_for
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.key_strength import weakness
from mailfront.keystore.password_change import was_interrupted
from mailfront.keystore.records import CertificateRecord, Inventory
from mailfront.keystore.trust import TrustFlags

_RESTORE = "restore the database from a backup (`msgcert restore`)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with the entry of a nickname, or without one with the database."""

    nickname: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.nickname, self.problem, self.remedy) if part)


def verify(
    token: InternalToken, now: datetime, host_names: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """Return all that is wrong; `host_names` are those that a nickname's certificate must bear."""
    findings = [*_file(token.path), *_links(token), *_revocation_lists(token)]
    try:
        inventory = token.inventory()
    except KeystoreError as error:
        return [*findings, Finding("", error.what, error.remedy)]
    findings += _rows(inventory)
    authorities = _Authorities(inventory)
    for record in inventory.records:
        findings += _dates(record, now)
        if record.has_key:
            findings += _key(token, record)
        if _is_own(record):
            findings += _chain(record, authorities, now)
    for pending in inventory.pending:
        findings += _pending_key(token, pending.nickname)
    known = {record.nickname: record for record in inventory.records}
    for nickname, names in host_names.items():
        findings += _names(nickname, known.get(nickname), names)
    return findings


def covers(certificate: x509.Certificate, name: str) -> bool:
    """Whether the certificate is for a host name or an address (RFC 9525 section 6.3)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        names = {one.lower() for one in extension.value.get_values_for_type(x509.DNSName)}
        return any(pattern in names for pattern in patterns_for(name.rstrip(".")))
    return address in extension.value.get_values_for_type(x509.IPAddress)


class _Authorities:
    """The CAs that are trusted for servers, and all certificates that may lead to them."""

    def __init__(self, inventory: Inventory) -> None:
        self.trusted = frozenset(
            record.certificate for record in inventory.records if TrustFlags.SERVERS in record.trust
        )
        self.known = tuple(
            record.certificate for record in inventory.records if record.trust.is_authority
        )


def _file(path: Path) -> Iterator[Finding]:
    try:
        with closing(schema.open_file(path)) as connection, schema.plain_errors(path):
            answers = connection.execute("PRAGMA integrity_check(10)").fetchall()
        for (answer,) in answers:
            if answer != "ok":
                yield Finding("", f"the database file is damaged ({answer})", _RESTORE)
        if was_interrupted(path):
            yield Finding(
                "",
                "a change of the password was interrupted, and two passwords open the database",
                "give `msgcert change-password` again",
            )
    except KeystoreError as error:
        yield Finding("", error.what, error.remedy)


def _links(token: InternalToken) -> Iterator[Finding]:
    try:
        token.links()
    except KeystoreError as error:
        yield Finding("", error.what, error.remedy)


def _revocation_lists(token: InternalToken) -> Iterator[Finding]:
    try:
        with token.revocation_lists() as table:
            for stored in table.stored():
                table.read(stored.issuer)
    except KeystoreError as error:
        yield Finding("", error.what, error.remedy)


def _rows(inventory: Inventory) -> Iterator[Finding]:
    for nickname in inventory.altered:
        yield Finding(
            nickname,
            "the entry was altered outside mailfront and is not used",
            f"{_RESTORE}, or remove the entry and add it again",
        )
    for nickname in inventory.missing:
        yield Finding(
            nickname,
            "the entry was removed outside mailfront",
            f"{_RESTORE}, or remove the entry with `msgcert remove-cert` too",
        )


def _is_own(record: CertificateRecord) -> bool:
    return record.has_key or record.key_on_other_token


def _dates(record: CertificateRecord, now: datetime) -> Iterator[Finding]:
    # A public CA that only servers are checked with may expire unnoticed: nothing hangs on it.
    if not _is_own(record) and TrustFlags.CLIENTS not in record.trust:
        return
    if state := _out_of_dates(record.certificate, now):
        yield Finding(record.nickname, f"the certificate {state}", "renew it, or remove it")


def _out_of_dates(certificate: x509.Certificate, now: datetime) -> str:
    state = validity_state(certificate, now)
    if state is ValidityState.EXPIRED:
        return f"expired on {certificate.not_valid_after_utc.date().isoformat()}"
    if state is ValidityState.NOT_YET_VALID:
        return f"is not valid before {certificate.not_valid_before_utc.date().isoformat()}"
    return ""


def _key(token: InternalToken, record: CertificateRecord) -> Iterator[Finding]:
    try:
        public = formats.private_key_public_der(token.private_key(record.nickname))
        if public != formats.certificate_public_key_der(record.certificate):
            yield Finding(record.nickname, "the private key is not the certificate's", _RESTORE)
    except KeystoreError as error:
        yield Finding(record.nickname, error.what, error.remedy)
        return
    if fault := weakness(record.certificate.public_key()):
        yield Finding(record.nickname, fault, "have a new certificate made with a new key")


def _pending_key(token: InternalToken, nickname: str) -> Iterator[Finding]:
    try:
        token.private_key(nickname)
    except KeystoreError as error:
        yield Finding(nickname, error.what, error.remedy)


def _chain(
    record: CertificateRecord, authorities: _Authorities, now: datetime
) -> Iterator[Finding]:
    chain = build_chain(record.certificate, record.chain, authorities.known)
    complete = "install it again together with its issuers (fullchain.pem)"
    if chain.root is None:
        yield Finding(
            record.nickname,
            f"the chain is incomplete: the certificate of {chain.missing_issuer} is missing",
            f"{complete}, and add its CA with `msgcert add-cert -C`",
        )
    elif chain.root != record.certificate and not _is_trusted(chain.presented, authorities):
        yield Finding(
            record.nickname,
            f"the chain ends at {formats.name_text(chain.root.subject)}, which is no trusted CA "
            "here",
            "add it with `msgcert add-cert -C`",
        )
    for issuer in chain.intermediates:
        name = formats.name_text(issuer.subject)
        if issuer not in record.chain:
            yield Finding(
                record.nickname, f"clients are not sent the certificate of {name}", complete
            )
        if state := _out_of_dates(issuer, now):
            yield Finding(record.nickname, f"its issuer's certificate, {name}, {state}", complete)


def _is_trusted(presented: Sequence[x509.Certificate], authorities: _Authorities) -> bool:
    return any(
        certificate in authorities.trusted
        or any(is_issued_by(certificate, trusted) for trusted in authorities.trusted)
        for certificate in presented
    )


def _names(
    nickname: str, record: CertificateRecord | None, names: Sequence[str]
) -> Iterator[Finding]:
    if record is None or not _is_own(record):
        yield Finding(nickname, "a service is to present it, and it is not there with its key", "")
        return
    missing = [name for name in names if not covers(record.certificate, name)]
    if missing:
        yield Finding(
            nickname,
            f"the certificate is not for {', '.join(missing)}",
            "have one made that names it among its alternative names",
        )
