"""Limits that RFC 5321 section 4.5.3 sets a floor to."""

from __future__ import annotations

from mailfront.front.smtp import SmtpSettings


def test_the_defaults_are_no_stricter_than_the_standard_allows() -> None:
    settings = SmtpSettings("mx.example.test")
    assert settings.recipient_limit >= 100
    assert settings.command_timeout >= 300
    assert settings.data_timeout >= 180
    assert settings.size_limit >= 64 * 1024
