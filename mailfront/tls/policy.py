"""Which protocol versions and cipher suites a service accepts, and why.

One place decides for every service. The profiles follow RFC 9325 and Mozilla's server-side TLS
guidelines. TLS 1.3 suites are OpenSSL's own (all of them are AEAD with forward secrecy).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from mailfront.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Policy:
    """What a context is set to. `suites` is the TLS 1.2 list in OpenSSL's notation, best first."""

    name: str
    minimum_version: ssl.TLSVersion
    suites: tuple[str, ...]
    reason: str


_FORWARD_SECRECY = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)

# For clients without AEAD or ECDHE. Still TLS 1.2: RFC 8996 forbids what is older.
_OLD_CLIENTS = (
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)

PROFILES = {
    "modern": Policy(
        "modern", ssl.TLSVersion.TLSv1_3, (), "TLS 1.3 only, for clients of the last years"
    ),
    "intermediate": Policy(
        "intermediate",
        ssl.TLSVersion.TLSv1_2,
        _FORWARD_SECRECY,
        "TLS 1.2 and 1.3 with ECDHE and AEAD suites only (RFC 9325 section 4.2)",
    ),
    "legacy": Policy(
        "legacy",
        ssl.TLSVersion.TLSv1_2,
        _FORWARD_SECRECY + _OLD_CLIENTS,
        "TLS 1.2 with CBC and static RSA suites too, for clients that have nothing better",
    ),
}


def policy_named(name: str) -> Policy:
    """The policy of profile `name`. Raises `ConfigurationError` for an unknown one."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ConfigurationError(
            f"unknown TLS profile {name!r}", remedy=f"use one of: {', '.join(PROFILES)}"
        ) from None


def apply_policy(policy: Policy, context: ssl.SSLContext) -> None:
    """Set versions, suites and safe options on a server context."""
    context.minimum_version = policy.minimum_version
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    if policy.suites:
        context.set_ciphers(":".join(policy.suites))
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
