"""Certificate revocation lists: what one says, whether it may be believed, who is on it.

Takes octets (DER or PEM) and certificates; gives lists in which a serial number is found in
logarithmic time, whatever their size. RFC 5280 section 5 and 6.3.3: a list must be complete and be
signed by the CA itself; delta lists, indirect lists, lists for some reasons only and unknown
critical extensions are refused. Raises `KeystoreError`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from mailfront.errors import KeystoreError
from mailfront.keystore import formats, sealing
from mailfront.keystore.chain import is_authority

MAXIMUM_OCTETS = 128 * 1024 * 1024
# Clocks differ a little.
_TOLERANCE = timedelta(minutes=5)
_PEM = b"-----BEGIN"
_KNOWN_CRITICAL = frozenset(
    {x509.IssuingDistributionPoint.oid, x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid}
)
_Points = frozenset[str]
_SIGNING_KEYS = (
    rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey,
)  # fmt: skip


class RevocationState(Enum):
    """What the lists say of a certificate."""

    GOOD = "not revoked"
    REVOKED = "revoked"
    NO_LIST = "there is no list that covers it"
    OUT_OF_DATE = "the list of its CA is out of date"


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list: who issued it, when, its number (None: it has none) and how many are on it.

    `next_update` None means that the list never promised a newer one.
    """

    issuer: x509.Name
    this_update: datetime
    next_update: datetime | None
    number: int | None
    entries: int
    _serials: bytes
    _width: int
    _for_users: bool
    _for_authorities: bool
    _points: _Points

    def has(self, serial_number: int) -> bool:
        """Whether the certificate of that serial number is on the list."""
        width = self._width
        if serial_number < 0 or serial_number >= 1 << 8 * width:
            return False
        wanted, table = serial_number.to_bytes(width), self._serials
        index = bisect_left(
            range(self.entries), wanted, key=lambda at: table[at * width : (at + 1) * width]
        )
        return table[index * width : (index + 1) * width] == wanted

    def covers(self, certificate: x509.Certificate) -> bool:
        """Whether the list is for such certificates (RFC 5280 section 5.2.5)."""
        wanted = self._for_authorities if is_authority(certificate) else self._for_users
        return wanted and (not self._points or bool(self._points & _points_of(certificate)))

    def is_current(self, now: datetime) -> bool:
        """Whether the list is in force and no newer one is due."""
        begun = now >= self.this_update - _TOLERANCE
        return begun and (self.next_update is None or now <= self.next_update)


def authority_key(authority: x509.Certificate) -> bytes:
    """What a CA's lists are known by: its name and its key, whichever certificate it has."""
    name = authority.subject.public_bytes()
    return hashlib.sha256(
        sealing.binding(name, formats.certificate_public_key_der(authority))
    ).digest()


class Revocations:
    """The lists of all CAs."""

    def __init__(self, lists: Mapping[bytes, RevocationList] | None = None) -> None:
        """`lists` by `authority_key`."""
        self.lists = dict(lists or {})

    def state(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> RevocationState:
        """What the list of `issuer` says of a certificate that it signed."""
        return _state(self.lists.get(authority_key(issuer)), certificate, now)

    def state_by_name(self, certificate: x509.Certificate, now: datetime) -> RevocationState:
        """What is said of a certificate whose issuer is not at hand: the worst that any list of a
        CA with its issuer's name says."""
        named = [each for each in self.lists.values() if each.issuer == certificate.issuer]
        states = {_state(each, certificate, now) for each in named}
        for state in (RevocationState.REVOKED, RevocationState.OUT_OF_DATE, RevocationState.GOOD):
            if state in states:
                return state
        return RevocationState.NO_LIST


def _state(
    found: RevocationList | None, certificate: x509.Certificate, now: datetime
) -> RevocationState:
    if found is None or not found.covers(certificate):
        return RevocationState.NO_LIST
    if found.has(certificate.serial_number):
        # An old list is right about those on it.
        return RevocationState.REVOKED
    return RevocationState.GOOD if found.is_current(now) else RevocationState.OUT_OF_DATE


def revocation_list_der(octets: bytes) -> bytes:
    """A list in DER, out of DER or PEM. Raises `KeystoreError`."""
    if len(octets) > MAXIMUM_OCTETS:
        raise KeystoreError(f"a revocation list of more than {MAXIMUM_OCTETS >> 20} MiB")
    if not octets.lstrip().startswith(_PEM):
        return octets
    try:
        return x509.load_pem_x509_crl(octets).public_bytes(serialization.Encoding.DER)
    except ValueError as error:
        raise _unreadable() from error


def parse_revocation_list(der: bytes) -> RevocationList:
    """Read a list in DER; its signature is not looked at. Raises `KeystoreError`."""
    try:
        crl = x509.load_der_x509_crl(der)
        scope = _scope(crl)
        serials, width = _table(crl)
        return RevocationList(
            issuer=crl.issuer,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            number=_number(crl),
            entries=len(serials) // width,
            _serials=serials,
            _width=width,
            _for_users=not (scope and scope.only_contains_ca_certs),
            _for_authorities=not (scope and scope.only_contains_user_certs),
            _points=frozenset(_uris(scope.full_name if scope else None)),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, OverflowError) as error:
        raise _unreadable() from error


def _unreadable() -> KeystoreError:
    return KeystoreError(
        "this is no certificate revocation list that can be read",
        remedy="give one in DER or PEM, as the CA publishes it",
    )


def require_believable(
    der: bytes, found: RevocationList, authority: x509.Certificate, now: datetime
) -> None:
    """Raise `KeystoreError` unless the CA itself signed the list, and not for the future."""
    name = formats.name_text(authority.subject)
    if found.issuer != authority.subject:
        raise KeystoreError(
            f"the list is of {formats.name_text(found.issuer)}, not of {name}",
            remedy="name the CA that issued it; indirect lists are not supported",
        )
    if not _may_sign_lists(authority):
        raise KeystoreError(f"{name} may not sign revocation lists (its key usage says so)")
    if not _is_signed_by(der, authority):
        raise KeystoreError(
            f"the list was not signed with the key of {name}",
            remedy="get it from the CA again; a CA with a new key has a certificate for it",
        )
    if found.this_update > now + _TOLERANCE:
        raise KeystoreError(
            f"the list begins only on {found.this_update:%Y-%m-%d %H:%M} UTC",
            remedy="check this machine's clock",
        )


def _is_signed_by(der: bytes, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    try:
        crl = x509.load_der_x509_crl(der)
        return isinstance(key, _SIGNING_KEYS) and crl.is_signature_valid(key)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False


def _may_sign_lists(authority: x509.Certificate) -> bool:
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False


def _scope(crl: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    scope = None
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            raise KeystoreError(
                "this is a delta list, which is not supported", remedy="give the complete list"
            )
        if isinstance(value, x509.IssuingDistributionPoint):
            scope = value
        elif extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise KeystoreError(
                f"the list has a critical extension that is not known "
                f"({extension.oid.dotted_string})"
            )
    if scope is not None:
        _require_simple(scope)
    return scope


def _require_simple(scope: x509.IssuingDistributionPoint) -> None:
    if scope.indirect_crl:
        raise KeystoreError(
            "this is an indirect list, which is not supported",
            remedy="give the list that the CA itself signs",
        )
    if scope.only_some_reasons:
        raise KeystoreError(
            "the list is for some reasons of revocation only", remedy="give one for all reasons"
        )
    if scope.only_contains_attribute_certs:
        raise KeystoreError("the list is of attribute certificates")
    if scope.relative_name is not None:
        raise KeystoreError("the list names its distribution point relative to its issuer")


def _uris(names: Iterable[x509.GeneralName] | None) -> list[str]:
    return [name.value for name in names or () if isinstance(name, x509.UniformResourceIdentifier)]


def _points_of(certificate: x509.Certificate) -> _Points:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(uri for point in points for uri in _uris(point.full_name))


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _table(crl: x509.CertificateRevocationList) -> tuple[bytes, int]:
    """All serial numbers in order, each in as many octets as the longest takes."""
    serials = sorted(entry.serial_number for entry in crl)
    if serials and serials[0] < 0:
        raise ValueError("a negative serial number")
    width = max(1, (serials[-1].bit_length() + 7) // 8) if serials else 1
    return b"".join(serial.to_bytes(width) for serial in serials), width
