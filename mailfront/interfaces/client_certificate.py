"""The certificate that a client presented, and what verifying it against the client CAs found.

The TLS layer makes it; authentication maps it to a user. A certificate with a fault identifies
nobody, except where a mapping pins its very key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CertificateFault(Enum):
    """Why a client certificate does not identify its holder; the value is for the log."""

    NONE = ""
    UNTRUSTED = "no CA that is trusted for clients issued it"
    EXPIRED = "it has expired"
    NOT_YET_VALID = "it is not valid yet"
    REVOKED = "it is revoked"
    REVOCATION_UNKNOWN = "whether it is revoked cannot be told"
    WRONG_USE = "it is not for TLS clients"
    MALFORMED = "it cannot be read, or its chain breaks a rule"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client presented: `leaf` and `presented` (the rest of its chain) in DER.

    `detail` says more about the fault than its kind, for the log.
    """

    leaf: bytes
    presented: tuple[bytes, ...] = ()
    fault: CertificateFault = CertificateFault.NONE
    detail: str = ""

    @property
    def verified(self) -> bool:
        """Whether a CA trusted for clients vouches for it at this moment."""
        return self.fault is CertificateFault.NONE

    def __repr__(self) -> str:
        return f"ClientCertificate(fault={self.fault.name})"
