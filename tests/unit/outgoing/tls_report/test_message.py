"""A report as mail, as Python's parser reads it."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime

from mailfront.outgoing.tls_report.message import report_message
from tests.unit.outgoing.tls_report.test_document import REPORT

NOW = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)
CONTENT = bytes(range(256)) * 3


def test_a_report_has_the_form_that_its_readers_expect() -> None:
    octets = report_message(REPORT, CONTENT, "reports@example.com", NOW)
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert message["From"] == "postmaster@example.test"
    assert message["To"] == "reports@example.com"
    assert message["TLS-Report-Domain"] == "example.com"
    assert message["TLS-Report-Submitter"] == "example.test"
    assert message["TLS-Required"] == "No"
    assert message["Date"] == "Tue, 24 Nov 2026 01:02:03 +0000"
    assert str(message["Subject"]).split() == [
        "Report", "Domain:", "example.com", "Submitter:", "example.test", "Report-ID:",
        "<2026-11-23.example.com@example.test>",
    ]  # fmt: skip
    text, report = message.iter_parts()
    assert "2026-11-23" in text.get_content()
    assert report.get_content_type() == "application/tlsrpt+gzip"
    assert report.get_filename() == REPORT.file_name
    assert report.get_payload(decode=True) == CONTENT


def test_lines_end_as_in_mail_and_are_short() -> None:
    octets = report_message(REPORT, CONTENT, "reports@example.com", NOW)
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    assert octets.isascii()
