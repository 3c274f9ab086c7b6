"""PKCS#12 (RFC 7292): certificates with their private keys, read and written.

Reading takes the bytes of a file and its password, and returns every key with its certificate and
the friendly name, and the certificates beside them; size and time are bounded. Writing takes a key
with its chain and returns bytes: PBES2 with AES-256 (RFC 8018) and an HMAC-SHA256 (RFC 7292
section 4), or what devices understand that were made before these. Raises `KeystoreError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import pkcs12

from mailfront.errors import KeystoreError, WrongPasswordError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import ber, formats
from mailfront.keystore.derivation_bounds import check_derivations, check_iterations
from mailfront.keystore.key_files import usable
from mailfront.keystore.pkcs12_mac import with_strong_mac

MAXIMUM_FILE = 4 * 1024 * 1024
MAXIMUM_CERTIFICATES = 1000
MAXIMUM_KEYS = 100
# OWASP's figure for PBKDF2 with HMAC-SHA256.
_ITERATIONS = 600_000
# What old devices take at all; some of them give up beyond.
_LEGACY_ITERATIONS = 2048
_DATA = ber.object_identifier("1.2.840.113549.1.7.1")
_KEY_BAG = ber.object_identifier("1.2.840.113549.1.12.10.1.1")
_SHROUDED_KEY_BAG = ber.object_identifier("1.2.840.113549.1.12.10.1.2")
_CONVERSION = (
    "turn it into a present form: `openssl pkcs12 -legacy -in FILE -nodes -out all.pem`, then "
    "`openssl pkcs12 -export -in all.pem -out new.p12`, and delete all.pem"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and its certificate, under the name that the file gives them, if any."""

    friendly_name: str
    private_key: PrivateKeyTypes
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Pkcs12Contents:
    """The identities of a file in their order, and its other certificates."""

    identities: tuple[Identity, ...]
    others: tuple[x509.Certificate, ...]


def is_pkcs12(content: bytes) -> bool:
    """Return whether the bytes have the outer form of a PKCS#12 file, whatever is in it."""
    try:
        return ber.parse(content).has(ber.INTEGER, ber.SEQUENCE)
    except KeystoreError:
        return False


def read_pkcs12(content: bytes, password: Secret | None) -> Pkcs12Contents:
    """Return what a PKCS#12 file holds; without password, one that was written with none.

    Raises `WrongPasswordError`, or `KeystoreError` for bytes that are no such file.
    """
    file = _parsed(content)
    bags = list(_visible_key_bags(file))
    secret = None if password is None else password.reveal().encode()
    try:
        loaded = pkcs12.load_pkcs12(file.encoded(), secret)
    except UnsupportedAlgorithm as error:
        raise _unsupported() from error
    except ValueError as error:
        raise _refusal(error) from error
    named = [entry for entry in (loaded.cert, *loaded.additional_certs) if entry is not None]
    if len(named) > MAXIMUM_CERTIFICATES:
        raise KeystoreError(f"the file holds more than {MAXIMUM_CERTIFICATES} certificates")
    keys = [] if loaded.key is None else [usable(loaded.key)]
    if len(bags) > 1:
        # The library returns one of several keys; all are where every known writer puts them.
        keys = [_bag_key(bag, secret) for bag in bags]
    return _matched(_distinct(keys), named)


def write_pkcs12(
    name: str,
    private_key: PrivateKeyTypes,
    chain: Sequence[x509.Certificate],
    password: Secret,
    *,
    legacy: bool = False,
) -> bytes:
    """Return a PKCS#12 file with a key, its certificate (the first of `chain`) and the issuers.

    `legacy` writes triple DES and SHA-1, for devices that know nothing better. Raises
    `KeystoreError` for a kind of key that PKCS#12 writers do not take.
    """
    form = serialization.PrivateFormat.PKCS12.encryption_builder()
    if legacy:
        form = (
            form.kdf_rounds(_LEGACY_ITERATIONS)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(SHA1())  # noqa: S303
        )
    else:
        form = (
            form.kdf_rounds(_ITERATIONS)
            .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
            .hmac_hash(SHA256())
        )
    leaf, *issuers = chain
    file = pkcs12.serialize_key_and_certificates(
        name.encode(),
        cast(pkcs12.PKCS12PrivateKeyTypes, private_key),
        leaf,
        issuers or None,
        form.build(password.reveal().encode()),
    )
    return file if legacy else with_strong_mac(file, password, _ITERATIONS)


def _parsed(content: bytes) -> ber.Element:
    if len(content) > MAXIMUM_FILE:
        raise KeystoreError(f"a PKCS#12 file of more than {MAXIMUM_FILE} octets is not read")
    try:
        file = ber.parse(content)
    except KeystoreError as error:
        raise _no_pkcs12() from error
    if not file.has(ber.INTEGER, ber.SEQUENCE):
        raise _no_pkcs12()
    return file


def _visible_key_bags(file: ber.Element) -> Iterator[ber.Element]:
    """Yield the key bags outside encrypted parts (RFC 7292 section 4), and judge the file's cost.

    Encrypted parts hold certificates; a writer that encrypts key bags once more is not known.
    """
    check_derivations(file)
    for mac in file.children[2:3]:
        check_iterations(max(_numbers(mac), default=1))
    safe = _data(file.children[1])
    if safe is None:
        raise KeystoreError(
            "the PKCS#12 file is protected by a public key, not by a password",
            remedy="export it again with a password",
        )
    for part in safe.children:
        check_derivations(part)
        bags = _data(part)
        yield from () if bags is None else _key_bags(bags)


def _numbers(element: ber.Element) -> list[int]:
    return [child.number() for child in element.children if child.tag == ber.INTEGER]


def _key_bags(bags: ber.Element) -> Iterator[ber.Element]:
    for count, bag in enumerate(bags.children):
        if count == MAXIMUM_KEYS:
            raise KeystoreError(f"the file holds more than {MAXIMUM_KEYS} keys")
        check_derivations(bag)
        well_formed = bag.has(ber.OBJECT_IDENTIFIER, ber.CONTEXT_0) and bag.children[1].children
        if well_formed and bag.children[0].octets in (_KEY_BAG, _SHROUDED_KEY_BAG):
            yield bag


def _data(part: ber.Element) -> ber.Element | None:
    """Return what is in a ContentInfo of type data (RFC 5652 section 4), None for other types."""
    if not part.has(ber.OBJECT_IDENTIFIER, ber.CONTEXT_0) or part.children[0].octets != _DATA:
        return None
    return ber.parse(b"".join(string.string() for string in part.children[1].children))


def _bag_key(bag: ber.Element, password: bytes | None) -> PrivateKeyTypes:
    shrouded = bag.children[0].octets == _SHROUDED_KEY_BAG
    der = bag.children[1].children[0].encoded()
    try:
        return usable(
            serialization.load_der_private_key(der, (password or b"") if shrouded else None)
        )
    except UnsupportedAlgorithm as error:
        raise _unsupported() from error
    except (ValueError, TypeError) as error:
        raise KeystoreError("a private key in the PKCS#12 file is damaged") from error


def _distinct(keys: list[PrivateKeyTypes]) -> dict[bytes, PrivateKeyTypes]:
    return {formats.private_key_public_der(key): key for key in reversed(keys)}


def _matched(
    keys: dict[bytes, PrivateKeyTypes], named: list[pkcs12.PKCS12Certificate]
) -> Pkcs12Contents:
    identities: list[Identity] = []
    others: list[x509.Certificate] = []
    for entry in named:
        key = keys.get(formats.certificate_public_key_der(entry.certificate))
        if key is None:
            others.append(entry.certificate)
        else:
            name = (entry.friendly_name or b"").decode(errors="replace")
            identities.append(Identity(name, key, entry.certificate))
    if len(keys) > len({formats.private_key_public_der(known.private_key) for known in identities}):
        raise KeystoreError(
            "a private key in the PKCS#12 file has no certificate there",
            remedy="export key and certificate together",
        )
    return Pkcs12Contents(tuple(identities), tuple(others))


def _refusal(error: ValueError) -> KeystoreError:
    # The library has no classes of its own for these, and this is the text that it has documented.
    if "password" in str(error).lower():
        return WrongPasswordError(
            "the password does not open the PKCS#12 file",
            remedy="give the one that was chosen when the file was written",
        )
    return KeystoreError(f"the PKCS#12 file cannot be read ({error})", remedy=_CONVERSION)


def _unsupported() -> KeystoreError:
    return KeystoreError(
        "the PKCS#12 file is encrypted in a way that is not supported any more",
        remedy=_CONVERSION,
    )


def _no_pkcs12() -> KeystoreError:
    return KeystoreError("this is not a PKCS#12 file")
