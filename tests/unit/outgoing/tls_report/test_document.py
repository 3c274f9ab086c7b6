"""What a report says, and what its file is called."""

from __future__ import annotations

import gzip
import json
from datetime import date

from mailfront.outgoing.tls_report.document import Report, ReportingOrganization
from mailfront.outgoing.transport_policy import PolicyType, ResultType, TlsResult

WHO = ReportingOrganization("Example Ltd", "postmaster@example.test", "example.test")
REPORT = Report(WHO, "example.com", date(2026, 11, 23))
LINES = ("version: STSv1", "mode: testing", "mx: *.example.com", "max_age: 60")
GOOD = TlsResult("example.com", PolicyType.STS, ResultType.SUCCESS, LINES, ("*.example.com",))
BAD = TlsResult(
    "example.com", PolicyType.STS, ResultType.CERTIFICATE_EXPIRED, LINES, ("*.example.com",),
    "mx.example.com", "mx.example.com", "192.0.2.1", "198.51.100.1", "expired yesterday",
)  # fmt: skip
NONE = TlsResult("example.com", PolicyType.NONE, ResultType.SUCCESS)


def test_results_are_counted_by_policy_and_failures_told_one_by_one() -> None:
    document = json.loads(gzip.decompress(REPORT.compressed([(GOOD, 5), (BAD, 2), (NONE, 1)])))
    sts, none = document.pop("policies")
    assert document == {
        "organization-name": "Example Ltd",
        "date-range": {
            "start-datetime": "2026-11-23T00:00:00Z",
            "end-datetime": "2026-11-23T23:59:59Z",
        },
        "contact-info": "postmaster@example.test",
        "report-id": "2026-11-23.example.com@example.test",
    }
    assert sts == {
        "policy": {
            "policy-type": "sts",
            "policy-string": list(LINES),
            "policy-domain": "example.com",
            "mx-host": ["*.example.com"],
        },
        "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
        "failure-details": [
            {
                "result-type": "certificate-expired",
                "sending-mta-ip": "198.51.100.1",
                "receiving-mx-hostname": "mx.example.com",
                "receiving-mx-helo": "mx.example.com",
                "receiving-ip": "192.0.2.1",
                "failed-session-count": 2,
                "additional-information": "expired yesterday",
            }
        ],
    }
    assert none["policy"] == {"policy-type": "no-policy-found", "policy-domain": "example.com"}
    assert none["summary"]["total-successful-session-count"] == 1


def test_the_file_is_named_by_both_domains_and_the_seconds_of_the_day() -> None:
    assert REPORT.file_name == "example.test!example.com!1795392000!1795478399.json.gz"


def test_the_same_report_is_the_same_octets_again() -> None:
    assert REPORT.compressed([(BAD, 2)]) == REPORT.compressed([(BAD, 2)])
