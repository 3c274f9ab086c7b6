"""What is told to the gatherer of TLS reports about each session, and each that did not come about.

Takes the facts of one server and how the negotiation ended; gives a `TlsResult` (RFC 8460).
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.outgoing.dane import DaneState, DaneStatus
from mailfront.outgoing.smtp_session import SmtpSession
from mailfront.outgoing.transport_policy import (
    PolicyType,
    ReportSink,
    ResultType,
    StsMode,
    StsPolicy,
    TlsResult,
)


@dataclass(frozen=True, slots=True)
class ServerReport:
    """Reports on one server of `domain` to `sink`."""

    sink: ReportSink
    domain: str
    host: str
    dane: DaneState
    sts: StsPolicy | None

    def opened(self, session: SmtpSession) -> None:
        """A session came about, in TLS or in clear."""
        result, detail = self._result(session)
        self._record(
            result, detail, session.connection.address, session.connection.own_address,
            session.offer.hello,
        )  # fmt: skip

    def failed(self, result: str, detail: str, address: str = "", own_address: str = "") -> None:
        """None came about; `result` is a value of `ResultType`."""
        self._record(ResultType(result), detail, address, own_address)

    def _result(self, session: SmtpSession) -> tuple[ResultType, str]:
        tls = session.tls
        if tls.text == "clear":
            return ResultType.STARTTLS_NOT_SUPPORTED, "sent in clear"
        if self._policy_type is PolicyType.STS and self.sts is not None:
            if not self.sts.allows(self.host):
                return ResultType.VALIDATION_FAILURE, "the server is not in the policy"
            if tls.web_fault is not None:
                return tls.web_fault, "not verified"
        return ResultType.SUCCESS, ""

    @property
    def _policy_type(self) -> PolicyType:
        if self.dane.status in {DaneStatus.USABLE, DaneStatus.UNUSABLE, DaneStatus.FAILED}:
            return PolicyType.TLSA
        if self.sts is not None and self.sts.mode is not StsMode.NONE:
            return PolicyType.STS
        return PolicyType.NONE

    def _record(
        self, result: ResultType, detail: str, address: str, own: str, hello: str = ""
    ) -> None:
        kind = self._policy_type
        sts = self.sts if kind is PolicyType.STS else None
        strings = self.dane.texts if kind is PolicyType.TLSA else sts.lines if sts else ()
        self.sink.record(
            TlsResult(
                domain=self.domain,
                policy_type=kind,
                result=result,
                policy_strings=strings,
                exchangers=sts.patterns if sts else (),
                receiving_host=self.host,
                receiving_hello=hello,
                receiving_address=address,
                sending_address=own,
                detail=detail,
            )
        )
