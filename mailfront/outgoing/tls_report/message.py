"""A report as a mail message (RFC 8460 section 5.3).

Takes the report and its octets, gives a message with CRLF line ends. It asks to be delivered in
spite of standing policies (RFC 8689 section 3): a domain whose TLS is broken must hear of it.
"""

from __future__ import annotations

import base64
from datetime import datetime
from email.utils import format_datetime

from mailfront.outgoing.tls_report.document import Report

REPORT_TYPE = "application/tlsrpt+gzip"
_BOUNDARY = "=_tls-report"
_WIDTH = 76


def report_message(report: Report, content: bytes, recipient: str, now: datetime) -> bytes:
    """Return the message that brings `content` to `recipient`."""
    who = report.organization
    encoded = base64.b64encode(content).decode()
    lines = [
        f"From: {who.contact}",
        f"To: {recipient}",
        f"Date: {format_datetime(now)}",
        f"Message-ID: <{report.identifier}>",
        f"Subject: Report Domain: {report.domain}",
        f" Submitter: {who.submitter}",
        f" Report-ID: <{report.identifier}>",
        f"TLS-Report-Domain: {report.domain}",
        f"TLS-Report-Submitter: {who.submitter}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type="tlsrpt";',
        f' boundary="{_BOUNDARY}"',
        "",
        f"--{_BOUNDARY}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"How TLS from {who.submitter} to the mail servers of",
        f"{report.domain} went on {report.day.isoformat()} (UTC), as its record at",
        "_smtp._tls asks (RFC 8460).",
        "",
        f"--{_BOUNDARY}",
        f"Content-Type: {REPORT_TYPE}",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{report.file_name}"',
        "",
        *(encoded[start : start + _WIDTH] for start in range(0, len(encoded), _WIDTH)),
        f"--{_BOUNDARY}--",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8")
