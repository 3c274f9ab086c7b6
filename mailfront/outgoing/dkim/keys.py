"""DKIM keys: where they are in the certificate database, and the TXT records that publish them.

A key is kept as one that waits for a certificate, which none will ever be: it is sealed, backed up
and removed like every other. Its nickname is the name of its DNS record,
`SELECTOR._domainkey.DOMAIN` (RFC 6376 section 3.6.2.1).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailfront.errors import ConfigurationError, KeystoreError
from mailfront.keystore.formats import public_key_der

ALGORITHMS = ("rsa-2048", "ed25519")
MARK = "._domainkey."
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_NAME = 253
# RFC 8301 section 3.2; RFC 6376 section 3.3.3 makes nobody verify more than 2048 bits.
_LEAST_BITS, _MOST_BITS = 1024, 4096
# A string of a TXT record has at most 255 octets (RFC 1035 section 3.3).
_STRING = 255

SigningKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class DomainKey:
    """A key and whom it signs for; `domain` and `selector` are in lower-case A-labels."""

    domain: str
    selector: str
    key: SigningKey

    def __repr__(self) -> str:
        return f"DomainKey({self.domain!r}, {self.selector!r})"


def key_name(domain: str, selector: str) -> str:
    """Return the name of the record, which is the nickname too. Raises `ConfigurationError`."""
    name = f"{selector.lower()}{MARK}{domain.lower().rstrip('.')}"
    selected, _, signed = name.partition(MARK)
    fits = len(name) <= _LONGEST_NAME and all(map(_NAME.fullmatch, (selected, signed)))
    if not fits or "." not in signed:
        raise ConfigurationError(
            f"{selector!r} and {domain!r} are no selector and domain of DKIM",
            remedy="both are names of letters, digits, hyphens and dots (RFC 6376 section 3.1)",
        )
    return name


def split_name(nickname: str) -> tuple[str, str] | None:
    """Return domain and selector of a nickname, or None for another nickname."""
    selector, mark, domain = nickname.partition(MARK)
    return (domain, selector) if mark and selector and domain else None


def new_key(algorithm: str) -> SigningKey:
    """Return a new private key of one of `ALGORITHMS`."""
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def signing_key(key: PrivateKeyTypes, nickname: str) -> SigningKey:
    """Return a key that DKIM can sign with. Raises `KeystoreError` for another."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and _LEAST_BITS <= key.key_size <= _MOST_BITS:
        return key
    raise KeystoreError(
        f"DKIM does not sign with a key such as that of {nickname!r}",
        remedy="make one with `mailfront dkim create`",
    )


def parse_selectors(items: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the selectors to sign with by domain, out of items `DOMAIN:SELECTOR`.

    Raises `ConfigurationError`.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    for item in items:
        domain, colon, selector = item.partition(":")
        if not colon:
            raise ConfigurationError(
                f"{item!r} names no selector", remedy="write DOMAIN:SELECTOR, with commas between"
            )
        found = split_name(key_name(domain, selector))
        assert found is not None
        chosen[found[0]] = (*chosen.get(found[0], ()), found[1])
    return chosen


def record_text(key: CertificatePublicKeyTypes) -> str:
    """Return the text that publishes a public key (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        public, family = key.public_bytes(Encoding.Raw, PublicFormat.Raw), "ed25519"
    else:
        public, family = public_key_der(key), "rsa"
    return f"v=DKIM1; k={family}; p={base64.b64encode(public).decode()}"


def record_strings(text: str) -> tuple[str, ...]:
    """Return a text as the strings of one TXT record, none longer than DNS allows."""
    return tuple(text[start : start + _STRING] for start in range(0, len(text), _STRING))
