"""Alerts in clear."""

from __future__ import annotations

from mailfront.tls.alert import Alert, alert_record


def test_an_alert_is_one_record() -> None:
    assert alert_record(Alert.NO_APPLICATION_PROTOCOL) == bytes.fromhex("15030300020278")


def test_close_notify_is_a_warning() -> None:
    assert alert_record(Alert.CLOSE_NOTIFY) == bytes.fromhex("15030300020100")
