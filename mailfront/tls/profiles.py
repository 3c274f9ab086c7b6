"""The named and dated TLS profiles: what each offers by itself, and how far options may change it.

A profile never changes once it is published: another default is another date. The name without a
date stands for the newest. They follow RFC 9325 and Mozilla's server-side TLS guidelines; suites
with ECDSA come first, so that a service with both kinds of certificates presents the cheaper one.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from mailfront.errors import ConfigurationError
from mailfront.tls.ciphers import SUITES, Fate, Suite, suite_named


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile offers. Suites, groups and signature algorithms stand in order, best first.

    `lowest_version` is how far `encryption.tlsminversion` may go down. `groups` is in tiers: the
    first tier of which the client has one decides, in it a group whose share the client sent.
    """

    name: str
    date: str
    reason: str
    minimum_version: ssl.TLSVersion
    lowest_version: ssl.TLSVersion
    suites: tuple[Suite, ...]
    tls13_suites: tuple[Suite, ...]
    groups: tuple[tuple[str, ...], ...]
    signature_algorithms: tuple[str, ...]

    @property
    def dated_name(self) -> str:
        """The name that always means exactly this."""
        return f"{self.name}-{self.date}"

    def refusal(self, suite: Suite) -> str:
        """Why the profile does not permit `suite`, or an empty text."""
        if suite.fate is Fate.NEVER:
            return suite.reason
        if suite.is_tls13:
            return ""
        if self.lowest_version >= ssl.TLSVersion.TLSv1_3:
            return f"profile {self.name} has TLS 1.3 alone; this suite is of {suite.protocol}"
        if suite.fate is Fate.LEGACY and self.name != "legacy":
            return f"{suite.reason}; only the profile legacy permits it"
        return ""

    def everything(self) -> tuple[Suite, ...]:
        """Every suite that the profile permits: its own in order, then the others."""
        own = (*self.suites, *self.tls13_suites)
        return own + tuple(
            suite for suite in SUITES if suite not in own and not self.refusal(suite)
        )


def _suites(*names: str) -> tuple[Suite, ...]:
    return tuple(map(suite_named, names))


_TLS13 = _suites("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")

_FORWARD_SECRECY = _suites(
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
)

# For clients without AEAD, and behind them those without ECDHE.
_OLD_CLIENTS = _suites(
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)

# The hybrid against quantum computers first, even if that costs the client another round trip.
_GROUPS = (("X25519MLKEM768",), ("X25519", "P-256"), ("P-384",))

# The names are those of RFC 8446 section 4.2.3; SHA-1 is out (RFC 9155).
_SIGNATURE_ALGORITHMS = (
    "ecdsa_secp256r1_sha256",
    "ecdsa_secp384r1_sha384",
    "ed25519",
    "rsa_pss_rsae_sha256",
    "rsa_pss_rsae_sha384",
    "rsa_pss_rsae_sha512",
    "rsa_pss_pss_sha256",
    "rsa_pss_pss_sha384",
    "rsa_pss_pss_sha512",
    "rsa_pkcs1_sha256",
    "rsa_pkcs1_sha384",
    "rsa_pkcs1_sha512",
)

PROFILES = (
    Profile(
        name="modern",
        date="2026-11",
        reason="TLS 1.3 alone, for clients of the last years",
        minimum_version=ssl.TLSVersion.TLSv1_3,
        lowest_version=ssl.TLSVersion.TLSv1_3,
        suites=(),
        tls13_suites=_TLS13,
        groups=_GROUPS,
        signature_algorithms=_SIGNATURE_ALGORITHMS,
    ),
    Profile(
        name="intermediate",
        date="2026-11",
        reason="TLS 1.2 and 1.3 with ECDHE and AEAD suites only (RFC 9325 section 4.2); right for "
        "nearly everybody",
        minimum_version=ssl.TLSVersion.TLSv1_2,
        lowest_version=ssl.TLSVersion.TLSv1_2,
        suites=_FORWARD_SECRECY,
        tls13_suites=_TLS13,
        groups=_GROUPS,
        signature_algorithms=_SIGNATURE_ALGORITHMS,
    ),
    Profile(
        name="legacy",
        date="2026-11",
        reason="CBC and static RSA suites too, and down to TLS 1.0 where encryption.tlsminversion "
        "asks for it, for old clients that cannot be replaced",
        minimum_version=ssl.TLSVersion.TLSv1_2,
        lowest_version=ssl.TLSVersion.TLSv1,
        suites=_FORWARD_SECRECY + _OLD_CLIENTS,
        tls13_suites=_TLS13,
        groups=(*_GROUPS, ("P-521",)),
        signature_algorithms=(
            *_SIGNATURE_ALGORITHMS[:2],
            "ecdsa_secp521r1_sha512",
            *_SIGNATURE_ALGORITHMS[2:],
        ),
    ),
)
"""Every profile; of those with the same name the last is the newest."""


def profile_named(name: str) -> Profile:
    """The profile of that name, with or without its date.

    Raises `ConfigurationError` for an unknown one.
    """
    for profile in reversed(PROFILES):
        if name in {profile.name, profile.dated_name}:
            return profile
    known = dict.fromkeys(profile.name for profile in PROFILES)
    raise ConfigurationError(
        f"unknown TLS profile {name!r}", remedy=f"use one of: {', '.join(known)}"
    )
