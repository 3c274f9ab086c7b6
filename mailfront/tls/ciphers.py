"""Cipher suites by any of their names, and what may be done with each of them, and why.

A name is the original's (NSS), IANA's or OpenSSL's, or a code in hex; case does not count. What is
known of a suite follows from its IANA name: key exchange, authentication, encryption, strength, and
its fate, which is that of RFC 9325 section 4 with the RFCs it stands on.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from mailfront.tls.cipher_table import ORIGINAL, OTHERS, TABLE_23_2


class Fate(Enum):
    """Who may be offered a suite."""

    GOOD = "good"
    LEGACY = "legacy only"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Suite:
    """One cipher suite. `code` is its number in hex, `openssl` empty where OpenSSL never had it.

    `bits` is the length of the key, `strength` the bits of it that count (112 of Triple DES's 168).
    `reason` says why its fate is what it is.
    """

    code: str
    iana: str
    openssl: str
    aliases: tuple[str, ...]
    originals: tuple[str, ...]
    protocol: str
    key_exchange: str
    authentication: str
    encryption: str
    bits: int
    strength: int
    fate: Fate
    reason: str

    @property
    def name(self) -> str:
        """OpenSSL's name, which logs and tools show, or IANA's where it has none."""
        return self.openssl or self.iana

    @property
    def is_tls13(self) -> bool:
        """Whether it is a suite of TLS 1.3, which has its own list."""
        return self.protocol == "TLSv1.3"

    def names(self) -> tuple[str, ...]:
        """Every name it can be asked for by."""
        named = (self.iana, self.openssl, *self.aliases, *self.originals, f"0x{self.code}")
        return tuple(dict.fromkeys(name for name in named if name))


# What decides a fate, in this order: a pattern in the IANA name, the fate, the reason.
_RULES = (
    (r"^SSL_CK_", Fate.NEVER, "must not: SSL 2.0 (RFC 6176)"),
    (r"^SSL_", Fate.NEVER, "must not: exists in SSL 3.0 only (RFC 7568)"),
    (r"_NULL_", Fate.NEVER, "must not: no encryption (RFC 9325 section 4.1)"),
    (r"_anon_", Fate.NEVER, "must not: no authentication (RFC 5246 appendix A.5)"),
    (
        r"EXPORT.*_RC4_",
        Fate.NEVER,
        "must not: RC4 (RFC 7465), export key of {bits} bits (RFC 9325 section 4.1)",
    ),
    (r"_RC4_", Fate.NEVER, "must not: RC4 (RFC 7465)"),
    (
        r"EXPORT",
        Fate.NEVER,
        "must not: export key of {bits} bits (RFC 9325 section 4.1)",
    ),
    (r"_DES_", Fate.NEVER, "must not: DES, 56 bits (RFC 5469, RFC 9325 section 4.1)"),
    (r"_IDEA_", Fate.NEVER, "must not: IDEA (RFC 5469)"),
    (r"_CCM_8", Fate.NEVER, "should not: a tag of 64 bits, for constrained devices only"),
    (r"_DSS_", Fate.NEVER, "should not: needs a DSS certificate, which no CA issues any more"),
    (
        r"_DHE_",
        Fate.NEVER,
        "should not: finite-field DHE (RFC 9325 section 4.1); "
        "mailfront has no Diffie-Hellman parameters",
    ),
    (
        r"_3DES_",
        Fate.LEGACY,
        "should not: Triple DES, 112 bits (RFC 9325 section 4.1)",
    ),
    (
        r"^TLS_RSA_",
        Fate.LEGACY,
        "should not: static RSA, no forward secrecy (RFC 9325 section 4.1)",
    ),
    (r"_CBC_", Fate.LEGACY, "should not: CBC where RFC 9325 section 4.2 recommends AEAD"),
    (r"_(ARIA|CAMELLIA|SEED)_", Fate.LEGACY, "should not: rare, not recommended by IANA"),
    (r"_WITH_", Fate.GOOD, "good: AEAD with forward secrecy (RFC 9325 section 4.2)"),
    (r"", Fate.GOOD, "good: a suite of TLS 1.3 (RFC 8446 appendix B.4)"),
)

# Encryption by its part of the IANA name: what people call it, length of key, strength.
_ENCRYPTIONS = (
    (r"_NULL_", "none", 0, 0),
    (r"_RC4_40_|RC4_128_EXPORT40", "RC4", 40, 40),
    (r"_RC4_56_", "RC4", 56, 56),
    (r"_RC4_128_", "RC4", 128, 128),
    (r"_RC2_CBC_40_|RC2_128_CBC_EXPORT40", "RC2 CBC", 40, 40),
    (r"_RC2_128_", "RC2 CBC", 128, 128),
    (r"_3DES_|_DES_192_EDE3_", "3DES CBC", 168, 112),
    (r"_DES_", "DES CBC", 56, 56),
    (r"_FORTEZZA_CBC_", "Skipjack CBC", 80, 80),
    (r"_IDEA_", "IDEA CBC", 128, 128),
    (r"_SEED_", "SEED CBC", 128, 128),
    (r"CHACHA20_POLY1305", "ChaCha20-Poly1305", 256, 256),
)
_BLOCK_CIPHER = re.compile(r"_(AES|ARIA|CAMELLIA)_(128|256)_(GCM|CBC|CCM)")


def _encryption(iana: str) -> tuple[str, int, int]:
    for pattern, title, bits, strength in _ENCRYPTIONS:
        if re.search(pattern, iana):
            return title, bits, strength
    match = _BLOCK_CIPHER.search(iana)
    assert match is not None, iana
    return f"{match[1]}-{match[2]} {match[3]}", int(match[2]), int(match[2])


def _exchange(iana: str) -> tuple[str, str]:
    if iana.startswith("SSL_FORTEZZA"):
        return "KEA", "DSS"
    if "_WITH_" not in iana:
        return "any", "any"
    exchange = iana.removeprefix("TLS_").partition("_WITH_")[0].removesuffix("_EXPORT1024")
    kind, _, signature = exchange.removesuffix("_EXPORT").partition("_")
    if kind not in {"ECDHE", "DHE", "ECDH", "DH"}:
        return "RSA", "RSA"
    return kind, "none" if signature == "anon" else signature


def _protocol(iana: str) -> str:
    """The lowest version that has the suite."""
    if iana.startswith("SSL_CK_"):
        return "SSLv2"
    if iana.startswith("SSL_"):
        return "SSLv3"
    if "_WITH_" not in iana:
        return "TLSv1.3"
    newer = ("GCM", "CCM", "POLY1305", "CBC_SHA256", "CBC_SHA384", "NULL_SHA256")
    return "TLSv1.2" if any(part in iana for part in newer) else "TLSv1.0"


def _suite(row: str) -> Suite:
    code, iana, openssl, *originals = row.split()
    current, *older = openssl.split("|") if openssl != "-" else [""]
    encryption, bits, strength = _encryption(iana)
    key_exchange, authentication = _exchange(iana)
    fate, reason = next(
        (fate, reason) for pattern, fate, reason in _RULES if re.search(pattern, iana)
    )
    return Suite(
        code=code,
        iana=iana,
        openssl=current,
        aliases=tuple(older),
        originals=tuple(originals),
        protocol=_protocol(iana),
        key_exchange=key_exchange,
        authentication=authentication,
        encryption=encryption,
        bits=bits,
        strength=strength,
        fate=fate,
        reason=reason.format(bits=bits),
    )


ORIGINAL_SUITES = tuple(map(_suite, ORIGINAL.splitlines()))
"""What the original had a name for, in the order of its sheet."""

SUITES = ORIGINAL_SUITES + tuple(map(_suite, OTHERS.splitlines()))
"""Every suite of the table."""


@functools.cache
def _by_name() -> Mapping[str, Suite]:
    return {name.lower(): suite for suite in SUITES for name in suite.names()}


def known_names() -> Iterator[str]:
    """Every name of every suite, as it is usually written."""
    return (name for suite in SUITES for name in suite.names())


def find_suite(name: str) -> Suite | None:
    """The suite of that name in any naming system, without regard to case."""
    return _by_name().get(name.lower())


def suite_named(name: str) -> Suite:
    """The suite of a name that the program itself writes; an unknown one is a `KeyError`."""
    return _by_name()[name.lower()]


def table_23_2() -> tuple[tuple[str, Suite], ...]:
    """The rows of the guide's Table 23-2: its description, and the suite."""
    return tuple((title, suite_named(name)) for name, title in TABLE_23_2.items())
