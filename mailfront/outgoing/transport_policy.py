"""What sending asks of standing policies, and what it tells of its TLS: MTA-STS and TLS reporting.

`PolicySource` gives the MTA-STS policy of a recipient's domain (RFC 8461); `ReportSink` takes the
result of every TLS negotiation with a server of a domain that has a policy, or might (RFC 8460
section 4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class StsMode(Enum):
    """The mode of an MTA-STS policy (RFC 8461 section 5); the value is its name in the policy."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """An MTA-STS policy in force. `patterns` are its `mx` lines in lower-case A-labels, `lines` the
    policy's lines as they were fetched, for reports; `identifier` is that of the TXT record."""

    domain: str
    mode: StsMode
    patterns: tuple[str, ...]
    lines: tuple[str, ...] = ()
    identifier: str = ""

    def allows(self, host: str) -> bool:
        """Whether the policy lets mail go to the exchanger `host` (RFC 8461 section 4.1): a
        pattern that begins with `*.` stands for one label."""
        name = host.lower().rstrip(".")
        label, _, parent = name.partition(".")
        return any(
            pattern == name or (pattern[:2] == "*." and label != "" and pattern[2:] == parent)
            for pattern in self.patterns
        )


class PolicySource(Protocol):
    """Knows the MTA-STS policies of other domains."""

    async def policy_for(self, domain: str) -> StsPolicy | None:
        """Return the policy of `domain` (lower-case A-labels), fetched or kept; None without one.

        Raises nothing: what cannot be fetched counts as no policy, unless one is kept that has not
        expired (RFC 8461 section 5.1).
        """
        ...

    def validation_failed(self, domain: str) -> None:
        """A server of `domain` does not fit the policy that is kept: look whether there is a newer
        one before the next attempt (RFC 8461 section 5.1)."""
        ...


class PolicyType(Enum):
    """Which policy a result belongs to (RFC 8460 section 4.4)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class ResultType(Enum):
    """How a negotiation ended (RFC 8460 section 4.3); the value is the name in reports."""

    SUCCESS = "success"
    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class TlsResult:
    """One session with a server, or one that failed, for the report to `domain`.

    `policy_strings` are the TLSA records, or the lines of the MTA-STS policy; `exchangers` its
    patterns. `sending_address` and `receiving_address` are empty where no connection was made.
    `detail` is for people who read the report, without what a message holds.
    """

    domain: str
    policy_type: PolicyType
    result: ResultType
    policy_strings: tuple[str, ...] = ()
    exchangers: tuple[str, ...] = ()
    receiving_host: str = ""
    receiving_hello: str = ""
    receiving_address: str = ""
    sending_address: str = ""
    detail: str = ""


class ReportSink(Protocol):
    """Gathers results for daily reports."""

    def record(self, result: TlsResult) -> None:
        """Count a result. Raises nothing and does not wait."""
        ...


class NoPolicies:
    """A `PolicySource` that knows of none."""

    async def policy_for(self, domain: str) -> StsPolicy | None:
        """Part of `PolicySource`."""
        return None

    def validation_failed(self, domain: str) -> None:
        """Part of `PolicySource`."""


class NoReports:
    """A `ReportSink` that forgets."""

    def record(self, result: TlsResult) -> None:
        """Part of `ReportSink`."""
