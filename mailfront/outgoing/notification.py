"""Delivery status notifications: what the sender is told of recipients (RFC 3464, RFC 3461 6).

Takes the facts and gives the octets of a message: multipart/report (RFC 6522) of a text for people,
message/delivery-status, and the returned message or its header section. For addresses beyond ASCII
the parts are those of RFC 6533. Nothing here decides whether anybody is told: that is `wanted`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from mailfront.interfaces.message_sink import MailOptions, Message, RecipientOptions
from mailfront.queue.entry import Report

# A larger message is returned as its header section only (RFC 3461 section 6.2 allows it).
CONTENT_LIMIT = 128 * 1024
HEADER_LIMIT = 64 * 1024
_TEXT_LIMIT = 2000
_RECIPIENT_LIMIT = 1000

_XTEXT_ESCAPE = re.compile(r"\+([0-9A-F]{2})")
_DIAGNOSTIC = re.compile(r"[0-9]{3}(?:[ -]|$)")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")

_SUBJECTS = {
    Report.FAILED: "Mail could not be delivered",
    Report.DELAYED: "Mail is delayed",
    Report.DELIVERED: "Mail was delivered",
    Report.RELAYED: "Mail was passed on",
}
_TEXTS = {
    Report.FAILED: "Your message could not be delivered to these recipients, and nothing more is "
    "tried for them:",
    Report.DELAYED: "Your message could not be delivered to these recipients yet. It is tried "
    "again; you need not send it again:",
    Report.DELIVERED: "Your message was delivered to these recipients:",
    Report.RELAYED: "Your message was passed on to servers that send no notifications, so that you "
    "may hear no more of these recipients:",
}
_DEFAULT_STATUS = {
    Report.FAILED: "5.0.0",
    Report.DELAYED: "4.0.0",
    Report.DELIVERED: "2.0.0",
    Report.RELAYED: "2.0.0",
}


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What is told of one recipient. `text` is the server's answer, or ours without a code;
    `status` is an enhanced status code (RFC 3463) or empty; `will_retry_until` is for delays."""

    address: str
    options: RecipientOptions
    action: Report
    text: str = ""
    status: str = ""
    remote_host: str = ""
    last_attempt: datetime | None = None
    will_retry_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification to the sender of a message, about some of its recipients. `message` is None
    where its file is gone."""

    hostname: str
    sender: str
    identifier: str
    options: MailOptions
    arrived: datetime
    message: Message | None
    reports: Sequence[RecipientReport]

    @property
    def utf8(self) -> bool:
        """Whether it needs SMTPUTF8 on its way (RFC 6533)."""
        texts = [self.sender, *(each.address for each in self.reports)]
        return self.options.utf8 or not all(map(str.isascii, texts))


def wanted(sender: str, options: RecipientOptions, action: Report) -> bool:
    """Whether the sender is to be told (RFC 3461 section 5.2; RFC 5321 section 4.5.5: whoever has
    the null reverse-path never is)."""
    if not sender or action is Report.NONE:
        return False
    if not options.notify:
        return action in (Report.FAILED, Report.DELAYED)
    word = {Report.FAILED: "FAILURE", Report.DELAYED: "DELAY"}.get(action, "SUCCESS")
    return word in options.notify


def compose(notification: Notification, now: datetime | None = None) -> bytes:
    """Return the message, header section and body, with CRLF."""
    now = now or datetime.now(UTC)
    boundary = f"=_{secrets.token_hex(16)}"
    utf8 = notification.utf8
    actions = list(dict.fromkeys(each.action for each in notification.reports))
    subject = _SUBJECTS[actions[0]] if len(actions) == 1 else "Delivery status of your mail"
    head = [
        f"Received: by {notification.hostname} (notification) id {secrets.token_hex(8)};",
        f"\t{format_datetime(now)}",
        f"From: Mail Delivery System <postmaster@{notification.hostname}>",
        f"To: <{notification.sender}>",
        f"Subject: {subject}",
        f"Date: {format_datetime(now)}",
        f"Message-ID: <{secrets.token_hex(12)}@{notification.hostname}>",
        # RFC 3834 section 5.
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]  # fmt: skip
    returned_type, returned = _returned(notification, utf8=utf8)
    status_type = "message/global-delivery-status" if utf8 else "message/delivery-status"
    encoding = "Content-Transfer-Encoding: 8bit\r\n" if utf8 else ""
    text_type = f"text/plain; charset={'utf-8' if utf8 else 'us-ascii'}"
    parts = [
        f"Content-Description: Notification\r\nContent-Type: {text_type}\r\n{encoding}\r\n".encode()
        + _text(notification, actions).encode(),
        f"Content-Description: Delivery report\r\nContent-Type: {status_type}\r\n{encoding}\r\n"
        .encode() + _status_fields(notification, utf8=utf8).encode(),
    ]  # fmt: skip
    if returned_type:
        parts.append(
            f"Content-Description: Returned message\r\nContent-Type: {returned_type}\r\n"
            f"Content-Transfer-Encoding: {'7bit' if returned.isascii() else '8bit'}\r\n\r\n"
            .encode() + returned
        )  # fmt: skip
    # RFC 2045 section 6.4: a multipart is of 8bit if one of its parts is.
    if utf8 or not all(map(bytes.isascii, parts)):
        head.append("Content-Transfer-Encoding: 8bit")
    head += ["", "This is a delivery status notification in MIME format.", ""]
    delimiter = f"\r\n--{boundary}"
    body = b"".join(f"{delimiter}\r\n".encode() + part for part in parts)
    return "\r\n".join(head).encode() + body + f"{delimiter}--\r\n".encode()


def _text(notification: Notification, actions: Sequence[Report]) -> str:
    lines = [f"This is the mail system at {notification.hostname}."]
    for action in actions:
        lines += ["", _TEXTS[action], ""]
        for each in notification.reports[:_RECIPIENT_LIMIT]:
            if each.action is action:
                answer = _shown(each.text, utf8=notification.utf8)
                host = f" ({each.remote_host})" if each.remote_host else ""
                lines.append(f"  <{each.address}>{host}{':' if answer else ''}")
                lines += [f"    {answer[at : at + 70]}" for at in range(0, len(answer), 70)]
    return "\r\n".join([*lines, ""])


def _status_fields(notification: Notification, *, utf8: bool) -> str:
    fields = []
    if envelope_id := notification.options.envelope_id:
        fields.append(f"Original-Envelope-Id: {_from_xtext(envelope_id)}")
    fields += [
        f"Reporting-MTA: dns; {notification.hostname}",
        f"Arrival-Date: {format_datetime(notification.arrived)}",
        f"X-Queue-Id: {notification.identifier}",
    ]
    blocks = [fields]
    blocks += [
        _recipient_fields(each, utf8=utf8) for each in notification.reports[:_RECIPIENT_LIMIT]
    ]
    return "\r\n".join("".join(f"{field}\r\n" for field in block) for block in blocks)


def _recipient_fields(report: RecipientReport, *, utf8: bool) -> list[str]:
    fields = []
    if report.options.original:
        kind, _, value = report.options.original.partition(";")
        fields.append(f"Original-Recipient: {kind};{_from_xtext(value)}")
    kind = "rfc822" if report.address.isascii() else "utf-8"
    status = report.status or _status_of(report.text) or _DEFAULT_STATUS[report.action]
    fields += [
        f"Final-Recipient: {kind};{report.address}",
        f"Action: {report.action.value}",
        f"Status: {status}",
    ]
    if report.remote_host:
        fields.append(f"Remote-MTA: dns;{_shown(report.remote_host, utf8=False)}")
    if report.text:
        kind = "smtp" if _DIAGNOSTIC.match(report.text) else "x-mailfront"
        fields.append(f"Diagnostic-Code: {kind}; {_folded(_shown(report.text, utf8=utf8))}")
    if report.last_attempt is not None:
        fields.append(f"Last-Attempt-Date: {format_datetime(report.last_attempt)}")
    if report.will_retry_until is not None:
        fields.append(f"Will-Retry-Until: {format_datetime(report.will_retry_until)}")
    return fields


def _returned(notification: Notification, *, utf8: bool) -> tuple[str, bytes]:
    """The type and octets of the third part; no type without a message."""
    message = notification.message
    if message is None:
        return "", b""
    failed = any(each.action is Report.FAILED for each in notification.reports)
    # RFC 3461 section 4.3: what RET asks for concerns failures; else headers are enough.
    whole = failed and notification.options.return_content != "HDRS"
    # RFC 8689 section 5: what asked for TLS all the way comes back as if it had said RET=HDRS.
    whole = whole and not notification.options.require_tls
    if whole and message.size <= CONTENT_LIMIT:
        return "message/global" if utf8 else "message/rfc822", b"".join(message.chunks())
    header = _header_section(message)
    # RFC 6522 section 4: text/rfc822-headers is of ASCII.
    return "message/global-headers" if utf8 else "text/rfc822-headers", header


def _header_section(message: Message) -> bytes:
    head = b""
    for chunk in message.chunks():
        head += chunk
        end = head.find(b"\r\n\r\n")
        if end >= 0:
            return head[: min(end + 2, HEADER_LIMIT)]
        if len(head) >= HEADER_LIMIT:
            break
    return head[:HEADER_LIMIT]


def _status_of(text: str) -> str:
    found = _STATUS.search(text[:40])
    return found[0] if found else ""


def _from_xtext(text: str) -> str:
    """Decode xtext (RFC 3461 section 4); what is not printable ASCII stays encoded."""

    def decoded(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if " " <= character <= "~" else found[0]

    return _shown(_XTEXT_ESCAPE.sub(decoded, text), utf8=True)


def _shown(text: str, *, utf8: bool) -> str:
    """`text` bounded, without anything that would begin another line or is not for its part."""
    return "".join(
        character if character.isprintable() and (utf8 or character.isascii()) else "?"
        for character in text[:_TEXT_LIMIT]
    )


def _folded(text: str) -> str:
    """RFC 5322 section 2.2.3: in lines of a length that every server takes."""
    return "\r\n\t".join(text[at : at + 800] for at in range(0, len(text), 800))
