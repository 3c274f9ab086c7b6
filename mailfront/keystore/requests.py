"""Making certificates and requests: subject, alternative names, key pair, validity, signature.

Takes what an operator names as text, checks it, returns `cryptography` objects; the profile is
RFC 5280, narrowed to what a TLS server presents (RFC 9525). Raises `KeystoreError`.
"""

from __future__ import annotations

import calendar
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailfront.errors import KeystoreError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

DEFAULT_MONTHS = 3  # as the original
MAXIMUM_MONTHS = 120
MAXIMUM_NAMES = 200
RSA_SIZES = (2048, 3072, 4096)
CURVES: dict[str, type[ec.EllipticCurve]] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}
KEY_TYPES = ("ec", "rsa", "ed25519")
_COMMON_NAME_LENGTH = 64  # RFC 5280 appendix A.1, ub-common-name
# A client whose clock is a little behind must not refuse a certificate that was made just now.
CLOCK_SKEW = timedelta(minutes=5)

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_MAIL_ADDRESS = re.compile(rf"[!#-'*+\-/-9=?A-Z^-~.]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")
# People write a blank behind the comma, which RFC 4514 does not allow and every older syntax does,
# and attribute types in any case, which it does allow and the library does not.
_ATTRIBUTE_TYPE = re.compile(r"(^|(?<!\\)[,+])\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?==)")
_ATTRIBUTES = {"E": NameOID.EMAIL_ADDRESS, "EMAILADDRESS": NameOID.EMAIL_ADDRESS}
_PARTS = (
    ("name", NameOID.COMMON_NAME),
    ("org-unit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("org", NameOID.ORGANIZATION_NAME),
    ("city", NameOID.LOCALITY_NAME),
    ("state", NameOID.STATE_OR_PROVINCE_NAME),
    ("country", NameOID.COUNTRY_NAME),
)


@dataclass(frozen=True, slots=True)
class KeyKind:
    """Which key pair to make: the family, and an RSA size or the name of a curve."""

    family: str = "ec"
    size: int | None = None
    curve: str | None = None

    def check(self) -> None:
        """Raise `KeystoreError` for a kind of key that is not made here."""
        if self.family not in KEY_TYPES:
            raise KeystoreError(
                f"unknown key type {self.family!r}", remedy="use " + ", ".join(KEY_TYPES)
            )
        if (self.size is not None and self.family != "rsa") or (
            self.curve is not None and self.family != "ec"
        ):
            raise KeystoreError(
                f"key size or curve do not go with the key type {self.family}",
                remedy="a size belongs to rsa, a curve to ec",
            )
        self._rsa_size()
        self._curve()

    def generate(self) -> PrivateKey:
        """Return a new private key. Raises `KeystoreError` as `check` does."""
        self.check()
        if self.family == "rsa":
            return rsa.generate_private_key(65537, self._rsa_size())
        if self.family == "ec":
            return ec.generate_private_key(self._curve()())
        return ed25519.Ed25519PrivateKey.generate()

    @classmethod
    def like(cls, key: CertificatePublicKeyTypes) -> KeyKind:
        """Return the kind of a new key in place of `key`: the same, where that is made here."""
        if isinstance(key, rsa.RSAPublicKey):
            enough = (size for size in RSA_SIZES if size >= key.key_size)
            return cls("rsa", size=next(enough, RSA_SIZES[-1]))
        if isinstance(key, ec.EllipticCurvePublicKey):
            names = {curve().name: name for name, curve in CURVES.items()}
            return cls("ec", curve=names.get(key.curve.name))
        return cls("ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ec")

    def _rsa_size(self) -> int:
        size = RSA_SIZES[0] if self.size is None else self.size
        if size not in RSA_SIZES:
            weak = f"RSA with {size} bits is too weak" if size < RSA_SIZES[0] else ""
            raise KeystoreError(
                weak or f"an RSA key of {size} bits is not made here",
                remedy="use " + " or ".join(str(known) for known in RSA_SIZES),
            )
        return size

    def _curve(self) -> type[ec.EllipticCurve]:
        curve = CURVES.get((self.curve or "P-256").upper())
        if curve is None:
            raise KeystoreError(
                f"unknown curve {self.curve!r}", remedy="use " + " or ".join(CURVES)
            )
        return curve


def parse_subject(text: str) -> x509.Name:
    """Return the name that an RFC 4514 text such as `CN=mail.example.com,O=Example,C=US` means."""
    regular = _ATTRIBUTE_TYPE.sub(lambda found: found[1] + found[2].upper(), text.strip())
    try:
        subject = x509.Name.from_rfc4514_string(regular, _ATTRIBUTES)
    except ValueError as error:
        raise _subject_fault(text, str(error)) from error
    if not subject.rdns:
        raise KeystoreError("the subject is empty", remedy="name at least CN=…")
    for country in subject.get_attributes_for_oid(NameOID.COUNTRY_NAME):
        _check_country(str(country.value))
    return subject


def _subject_fault(text: str, reason: str) -> KeystoreError:
    if re.search(r"(?:^|[,+])\s*C=(?![A-Za-z]{2}\s*(?:[,+]|$))", text, re.IGNORECASE):
        return _country_fault()
    what = f"{text!r} is not a subject in the form of RFC 4514"
    return KeystoreError(
        f"{what} ({reason})" if reason else what,
        remedy="write it as CN=mail.example.com,OU=Mail,O=Example,L=City,ST=State,C=US",
    )


def build_subject(
    *, name: str, org: str = "", org_unit: str = "", city: str = "", state: str = "", country: str
) -> x509.Name:
    """Return the name made of its parts, empty parts left out; `country` has two letters.

    The most specific part is printed first (RFC 4514), hence stands last in the name.
    """
    values = {
        "name": name,
        "org": org,
        "org-unit": org_unit,
        "city": city,
        "state": state,
        "country": country,
    }
    if not name:
        raise KeystoreError("the name is empty", remedy="give --name, such as the host name")
    if country:
        _check_country(country)
    attributes: list[x509.NameAttribute[str]] = []
    for part, oid in _PARTS:
        if not values[part]:
            continue
        try:
            attributes.append(x509.NameAttribute(oid, values[part]))
        except ValueError as error:
            raise KeystoreError(f"--{part} cannot be used: {error}") from error
    return x509.Name(reversed(attributes))


def _check_country(country: str) -> None:
    if not re.fullmatch(r"[A-Za-z]{2}", country):
        raise _country_fault()


def _country_fault() -> KeystoreError:
    return KeystoreError(
        "the country is not two letters", remedy="use its ISO 3166 code, such as US, DE or JP"
    )


def common_name(subject: x509.Name) -> str:
    """Return the most specific CN of a name, or an empty text."""
    attributes = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[-1].value) if attributes else ""


def parse_alternative_name(text: str) -> x509.GeneralName:
    """Return a DNS name, IP address or mail address, told apart by its form.

    The form can be forced: `DNS:`, `IP:` or `email:` in front. Raises `KeystoreError`.
    """
    prefix, colon, rest = text.strip().partition(":")
    forms = {"dns": _dns_name, "ip": _ip_address, "email": _mail_address}
    forced = forms.get(prefix.lower()) if colon else None
    if forced is not None:
        found = forced(rest)
    else:
        plain = text.strip()
        found = _ip_address(plain) or _mail_address(plain) or _dns_name(plain)
    if found is None:
        raise KeystoreError(
            f"{text!r} is no name that a certificate can carry",
            remedy="give a host name (an international one as its xn-- form), an IP address or a "
            "mail address",
        )
    return found


def _dns_name(text: str) -> x509.GeneralName | None:
    name = text.removesuffix(".")
    if len(name) > 253 or not _DNS_NAME.fullmatch(name):
        return None
    # Four numbers are an address that is out of range, never a host (RFC 1123 section 2.1).
    if name.rsplit(".", 1)[-1].isdecimal() and "." in name:
        return None
    return x509.DNSName(name.lower())


def _ip_address(text: str) -> x509.GeneralName | None:
    try:
        return x509.IPAddress(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def _mail_address(text: str) -> x509.GeneralName | None:
    return x509.RFC822Name(text) if _MAIL_ADDRESS.fullmatch(text) else None


def default_alternative_names(subject: x509.Name) -> tuple[x509.GeneralName, ...]:
    """Return the common name as alternative name, or nothing where it is not such a name.

    Clients look at alternative names only (RFC 9525 section 6.3).
    """
    try:
        return (parse_alternative_name(common_name(subject)),)
    except KeystoreError:
        return ()


def months_later(start: datetime, months: int) -> datetime:
    """Return the same day `months` calendar months later, or that month's last day.

    Raises `KeystoreError` unless there are 1 to `MAXIMUM_MONTHS`.
    """
    if not 1 <= months <= MAXIMUM_MONTHS:
        raise KeystoreError(
            f"a validity of {months} months is not possible",
            remedy=f"give 1 to {MAXIMUM_MONTHS} months",
        )
    year, month_index = divmod(start.month - 1 + months, 12)
    year, month = start.year + year, month_index + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day)


def self_signed_certificate(
    key: PrivateKey,
    subject: x509.Name,
    names: Sequence[x509.GeneralName],
    *,
    now: datetime,
    expires: datetime,
) -> x509.Certificate:
    """Return a server certificate that `key` signs for itself, valid from about `now`.

    It says CA:FALSE and lacks keyCertSign: OpenSSL, NSS, GnuTLS and Python's strict mode take it
    as its own trust anchor all the same, while a person who comes to trust it trusts one server,
    not a CA that could sign for any name (and Mozilla refuses a CA certificate as a server's).
    The serial number has 159 random bits and is positive (RFC 5280 section 4.1.2.2). An authority
    key identifier may be left out of a self-signed certificate (section 4.2.1.1).
    """
    unique = _distinct(names)
    public_key = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - CLOCK_SKEW).replace(microsecond=0))
        .not_valid_after(expires.replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(key), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    if unique:
        builder = builder.add_extension(x509.SubjectAlternativeName(unique), critical=False)
    return builder.sign(key, _signature_hash(key))


def certificate_request(
    key: PrivateKey, subject: x509.Name, names: Sequence[x509.GeneralName]
) -> x509.CertificateSigningRequest:
    """Return a request (PKCS#10, RFC 2986) for a certificate of `key`, signed with it.

    It asks for the alternative names and leaves every other extension to the authority's profile:
    some authorities refuse requests that ask for more.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if unique := _distinct(names):
        builder = builder.add_extension(x509.SubjectAlternativeName(unique), critical=False)
    return builder.sign(key, _signature_hash(key))


def _distinct(names: Sequence[x509.GeneralName]) -> list[x509.GeneralName]:
    unique = list(dict.fromkeys(names))
    if len(unique) > MAXIMUM_NAMES:
        raise KeystoreError(f"more than {MAXIMUM_NAMES} alternative names")
    return unique


def _key_usage(key: PrivateKey) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        # Only the RSA key exchange of TLS 1.2 deciphers with the certificate's key.
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signature_hash(key: PrivateKey) -> SHA256 | SHA384 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return SHA384()
    return SHA256()


def name_of_host(hostname: str) -> str:
    """Return a common name for a host: its name, or its first label where that is too long."""
    return hostname if len(hostname) <= _COMMON_NAME_LENGTH else hostname.split(".", 1)[0][:64]
