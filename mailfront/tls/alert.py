"""Alerts in clear: what a client is told before OpenSSL takes part (RFC 8446 section 6).

Once a handshake is in OpenSSL's hands its alerts are OpenSSL's own.
"""

from __future__ import annotations

from enum import IntEnum


class Alert(IntEnum):
    """Descriptions that we send ourselves."""

    CLOSE_NOTIFY = 0
    PROTOCOL_VERSION = 70
    INTERNAL_ERROR = 80
    NO_APPLICATION_PROTOCOL = 120


_WARNING, _FATAL = 1, 2


def alert_record(alert: Alert) -> bytes:
    """The alert as a record; all are fatal but close_notify, which is a warning by definition."""
    level = _WARNING if alert is Alert.CLOSE_NOTIFY else _FATAL
    return bytes((21, 3, 3, 0, 2, level, alert))
