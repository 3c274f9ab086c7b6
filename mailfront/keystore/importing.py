"""Bringing in keys and certificates that another program made: one step, all of it or nothing.

`with_chain` takes keys and their certificates, from PKCS#12 or from files as ACME clients write
them, and returns what is to be stored; `doubts` tells what is odd about it; `store` puts it into
the token in one transaction, also in place of what has the nickname already. Raises
`KeystoreError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.keystore import formats
from mailfront.keystore.chain import build_chain, find_leaf, with_public_key
from mailfront.keystore.change import Change
from mailfront.keystore.expiry import validity_fault
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.key_strength import require_strength
from mailfront.keystore.nicknames import nickname_from
from mailfront.keystore.pkcs12 import Identity
from mailfront.keystore.records import CertificateRecord, NewEntry
from mailfront.keystore.requests import common_name
from mailfront.keystore.trust import TrustFlags


@dataclass(frozen=True, slots=True)
class Import:
    """A key, its certificate with the issuers below the root, and the nickname for both.

    `trust` is what the certificate is trusted for besides, if it is a CA's.
    """

    nickname: str
    private_key: PrivateKeyTypes
    chain: tuple[x509.Certificate, ...]
    missing_issuer: str
    trust: TrustFlags = TrustFlags.NONE

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of the key."""
        return self.chain[0]


@dataclass(frozen=True, slots=True)
class ImportedAuthority:
    """A certificate of a CA, what it is trusted for, and the nickname it gets if it is new."""

    nickname: str
    certificate: x509.Certificate
    trust: TrustFlags


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored, and what had its nickname before, if anything had."""

    record: CertificateRecord
    former: CertificateRecord | None

    @property
    def is_new(self) -> bool:
        """Whether anything was changed at all."""
        return self.record != self.former


def identity_of(
    private_key: PrivateKeyTypes, certificates: Sequence[x509.Certificate]
) -> tuple[Identity, tuple[x509.Certificate, ...]]:
    """Return a key with its certificate out of a heap of them, and the others.

    Raises `KeystoreError` if none of the certificates is the key's.
    """
    leaf = with_public_key(certificates, formats.private_key_public_der(private_key))
    if leaf is None:
        named = formats.name_text(find_leaf(certificates).subject)
        raise KeystoreError(
            f"the private key is not the one of the certificate of {named}",
            remedy="give the key that the certificate was made for",
        )
    others = tuple(certificate for certificate in certificates if certificate != leaf)
    return Identity("", private_key, leaf), others


def with_chain(
    identity: Identity,
    given: Iterable[x509.Certificate],
    known: Iterable[x509.Certificate],
    *,
    nickname: str | None = None,
    allow_weak: bool = False,
) -> Import:
    """Return what is to be stored for `identity`, its issuers out of those `given` and `known`.

    Without `nickname` the friendly name of the file serves, else the common name. Raises
    `KeystoreError` for a weak key, unless that is allowed, and where no name is found.
    """
    if not allow_weak:
        require_strength(identity.certificate.public_key())
    chosen = nickname or nickname_from(identity.friendly_name)
    chosen = chosen or nickname_from(common_name(identity.certificate.subject))
    if not chosen:
        raise KeystoreError(
            "the file names no nickname, and its certificate no common name",
            remedy="give a nickname in front of the file: `msgcert import-cert CERT_ALIAS FILE`",
        )
    chain = build_chain(identity.certificate, given, known)
    return Import(chosen, identity.private_key, chain.presented, chain.missing_issuer)


def with_distinct_nicknames(imports: Sequence[Import]) -> tuple[Import, ...]:
    """Return the same with a number behind each nickname that an earlier one has already."""
    taken: set[str] = set()
    distinct = []
    for one in imports:
        nickname, number = one.nickname, 1
        while nickname in taken:
            number += 1
            nickname = f"{one.nickname} {number}"
        taken.add(nickname)
        distinct.append(replace(one, nickname=nickname))
    return tuple(distinct)


def known_issuers(token: InternalToken) -> tuple[x509.Certificate, ...]:
    """Return the CAs and the intermediate certificates that the token holds already."""
    return issuers_in(token.inventory().records)


def issuers_in(records: Iterable[CertificateRecord]) -> tuple[x509.Certificate, ...]:
    """Return the CAs and the intermediate certificates among what a token holds."""
    found: dict[x509.Certificate, None] = {}
    for record in records:
        if record.trust.is_authority:
            found[record.certificate] = None
        found.update(dict.fromkeys(record.chain))
    return tuple(found)


def doubts(one: Import, now: datetime) -> list[str]:
    """Return what the operator should know about something that is imported nevertheless."""
    found = []
    if fault := validity_fault(one.certificate, now):
        found.append(f"{one.nickname}: {fault}")
    if one.missing_issuer:
        found.append(
            f"{one.nickname}: the chain is incomplete, clients may refuse it: the certificate of "
            f"{one.missing_issuer} is missing; give the full chain"
        )
    return found


def lost_names(stored: Stored) -> list[str]:
    """Return the alternative names that the former certificate had and the new one has not."""
    if stored.former is None:
        return []
    present = formats.alternative_names(stored.record.certificate)
    former = formats.alternative_names(stored.former.certificate)
    return [name for name in former if name not in present]


def store(
    token: InternalToken,
    imports: Iterable[Import],
    authorities: Sequence[ImportedAuthority] = (),
    *,
    replacing: bool,
) -> list[Stored]:
    """Store everything in one transaction.

    With `replacing`, whatever has the nickname of one of `imports` is replaced at the same moment;
    what is the same already stays untouched. Without, that is an error and nothing is stored. A CA
    that is there already under any nickname is trusted for what either says.
    """
    present = _nicknames_of_authorities(token) if authorities else {}
    with token.change() as step:
        stored = [_store(step, one, replacing=replacing) for one in imports]
        return stored + [_store_authority(step, one, present) for one in authorities]


def _nicknames_of_authorities(token: InternalToken) -> dict[x509.Certificate, str]:
    records = token.inventory().records
    return {record.certificate: record.nickname for record in records if not record.has_key}


def _store_authority(
    step: Change, one: ImportedAuthority, present: dict[x509.Certificate, str]
) -> Stored:
    known = step.find(present.get(one.certificate, ""))
    if isinstance(known, CertificateRecord) and known.certificate == one.certificate:
        trust = known.trust | one.trust
        if trust == known.trust:
            return Stored(known, known)
        return Stored(step.set_trust(known.nickname, trust), known)
    taken = set(step.nicknames())
    nickname, number = one.nickname, 1
    while nickname in taken:
        number += 1
        nickname = f"{one.nickname} {number}"
    return Stored(step.add(NewEntry(nickname, (one.certificate,), None, one.trust)), None)


def _store(step: Change, one: Import, *, replacing: bool) -> Stored:
    present = step.find(one.nickname)
    if present is None:
        entry = NewEntry(one.nickname, one.chain, one.private_key, one.trust | TrustFlags.USER)
        return Stored(step.add(entry), None)
    if not replacing:
        raise KeystoreError(
            f"there is a certificate with the nickname {one.nickname!r} already",
            remedy="choose another nickname, or add --replace to put this one in its place",
        )
    former = present if isinstance(present, CertificateRecord) else None
    if former is not None and former.has_key and (former.certificate, *former.chain) == one.chain:
        return Stored(former, former)
    return Stored(step.replace(one.nickname, one.chain, one.private_key), former)
