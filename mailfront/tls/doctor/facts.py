"""What an examination found, before anybody judges it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from mailfront.errors import StarttlsFault
from mailfront.tls.doctor.target import Target


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """The suites of one version, in the order in which the server chose them.

    `server_order` tells whether that order is the server's own; None if it could not be told.
    """

    suites: tuple[str, ...]
    server_order: bool | None = None
    smallest_prime: int = 0


@dataclass(frozen=True, slots=True)
class StarttlsFacts:
    """The clear part and the first answers inside TLS.

    `injected_executed`: whether a command in clear behind STARTTLS was executed inside TLS, and
    `injection_outcome` what happened instead. `again` tells whether a second STARTTLS inside TLS
    was accepted. None: not examined.
    """

    clear: tuple[str, ...] = ()
    inside: tuple[str, ...] | None = None
    injected_executed: bool | None = None
    injection_outcome: str = ""
    again: bool | None = None


class StapleState(enum.Enum):
    """What a stapled OCSP response says, or why it says nothing."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown to its issuer"
    NONE = "none"
    BAD = "does not count"
    UNJUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class StapleFacts:
    """The OCSP response that came with a handshake, and until when it counts."""

    state: StapleState
    until: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class Examination:
    """All facts of one port. Mappings are by the version's name, newest first; None and missing
    entries were not examined, and `not_examined` says why."""

    target: Target
    versions: dict[str, bool] = field(default_factory=dict)
    suites: dict[str, SuiteFacts] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    signature_algorithms: dict[str, str] = field(default_factory=dict)
    chain: tuple[x509.Certificate, ...] = ()
    missing_issuer: str = ""
    trusted: bool | None = None
    trust_problem: str = ""
    name_matches: bool | None = None
    staple: StapleFacts | None = None
    resumption: dict[str, bool] = field(default_factory=dict)
    alpn: str = ""
    foreign_alpn_refused: bool | None = None
    compression: bool | None = None
    secure_renegotiation: bool | None = None
    extended_master_secret: bool | None = None
    sha1_signatures: bool | None = None
    starttls: StarttlsFacts | None = None
    starttls_fault: StarttlsFault | None = None
    starttls_problem: str = ""
    not_examined: dict[str, str] = field(default_factory=dict)

    @property
    def leaf(self) -> x509.Certificate | None:
        """The server's own certificate."""
        return self.chain[0] if self.chain else None

    @property
    def accepted_versions(self) -> tuple[str, ...]:
        """Names of the accepted versions, newest first."""
        return tuple(name for name, accepted in self.versions.items() if accepted)
