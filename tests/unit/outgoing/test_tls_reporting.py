"""Which policy a session is reported under, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from mailfront.outgoing.dane import DaneState, DaneStatus
from mailfront.outgoing.server_judgement import SessionTls
from mailfront.outgoing.smtp_commands import Offer
from mailfront.outgoing.smtp_session import SmtpSession
from mailfront.outgoing.tls_reporting import ServerReport
from mailfront.outgoing.transport_policy import PolicyType, ResultType, StsMode, StsPolicy
from tests.support.outgoing import Reports

HOST, DOMAIN = "mx.example.test", "example.test"


@dataclass
class Line:
    address: str = "192.0.2.1"
    own_address: str = "192.0.2.2"


@dataclass
class Session:
    tls: SessionTls
    connection: Line
    offer: Offer


def result(
    status: DaneStatus, sts: StsPolicy | None, tls: SessionTls
) -> tuple[PolicyType, ResultType]:
    sink = Reports()
    dane = DaneState(status, HOST, texts=("3 1 1 ab",))
    session = Session(tls, Line(), Offer("mx"))
    ServerReport(sink, DOMAIN, HOST, dane, sts).opened(cast(SmtpSession, session))
    (found,) = sink.results
    assert (found.receiving_address, found.sending_address) == ("192.0.2.1", "192.0.2.2")
    return found.policy_type, found.result


TLS, CLEAR = SessionTls("TLSv1.3 X", "CA"), SessionTls("clear")
EXPIRED = SessionTls("TLSv1.3 X", "", ResultType.CERTIFICATE_EXPIRED)
TESTING = StsPolicy(DOMAIN, StsMode.TESTING, (HOST,))
ELSEWHERE = StsPolicy(DOMAIN, StsMode.TESTING, ("mx.elsewhere.test",))
RETIRED = StsPolicy(DOMAIN, StsMode.NONE, ())


@pytest.mark.parametrize(
    ("status", "sts", "tls", "reported"),
    [
        (DaneStatus.USABLE, TESTING, TLS, (PolicyType.TLSA, ResultType.SUCCESS)),
        (DaneStatus.ABSENT, TESTING, TLS, (PolicyType.STS, ResultType.SUCCESS)),
        (DaneStatus.ABSENT, TESTING, EXPIRED, (PolicyType.STS, ResultType.CERTIFICATE_EXPIRED)),
        (DaneStatus.ABSENT, ELSEWHERE, TLS, (PolicyType.STS, ResultType.VALIDATION_FAILURE)),
        (DaneStatus.ABSENT, TESTING, CLEAR, (PolicyType.STS, ResultType.STARTTLS_NOT_SUPPORTED)),
        (DaneStatus.ABSENT, RETIRED, EXPIRED, (PolicyType.NONE, ResultType.SUCCESS)),
        (DaneStatus.ABSENT, None, EXPIRED, (PolicyType.NONE, ResultType.SUCCESS)),
        (DaneStatus.ABSENT, None, CLEAR, (PolicyType.NONE, ResultType.STARTTLS_NOT_SUPPORTED)),
    ],
)
def test_a_session_counts_for_the_policy_that_the_domain_has(
    status: DaneStatus, sts: StsPolicy | None, tls: SessionTls,
    reported: tuple[PolicyType, ResultType],
) -> None:  # fmt: skip
    assert result(status, sts, tls) == reported


def test_a_failure_is_told_with_the_policy_s_own_words() -> None:
    sink = Reports()
    dane = DaneState(DaneStatus.USABLE, HOST, texts=("3 1 1 ab",))
    ServerReport(sink, DOMAIN, HOST, dane, None).failed("validation-failure", "fits nothing")
    (found,) = sink.results
    assert (found.policy_strings, found.detail) == (("3 1 1 ab",), "fits nothing")
