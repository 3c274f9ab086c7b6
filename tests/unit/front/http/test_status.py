"""The status page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailfront.front.http.status import days_left, duration
from mailfront.interfaces.status import CertificateStatus
from tests.support.memory_browser import MemoryBrowser
from tests.support.memory_mail import MemoryStatus
from tests.support.webmail import PASSWORD, SETTINGS, USER, Webmail

NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
ADMIN = replace(SETTINGS, admins=frozenset({USER}))


async def test_others_are_refused() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        answer = await browser.get("/status")
    assert answer.status == 403
    assert "2993" not in answer.text


async def test_an_administrator_sees_ports_nicknames_expiry_and_connections() -> None:
    webmail = Webmail(ADMIN, status=MemoryStatus(days=60, problems=("imap: <nickname> unknown",)))
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        text = (await browser.get("/status")).text
    for expected in ("2993", "imap-cert", "60 days left", ":AB", "implicit", ">41<", "1893"):
        assert expected in text
    assert "imap: &lt;nickname&gt; unknown" in text


async def test_expired_certificates_stand_out() -> None:
    webmail = Webmail(ADMIN, status=MemoryStatus(days=-3))
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        assert 'problem-text">expired' in (await browser.get("/status")).text


async def test_stapled_responses_are_told() -> None:
    stapled = CertificateStatus("a", ("imap",), "AB", NOW, 60, False, NOW, "no <new> answer")
    webmail = Webmail(ADMIN, status=MemoryStatus(certificates=(stapled,)))
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        text = (await browser.get("/status")).text
    assert "until 2030-01-02 03:04 UTC" in text
    assert "no &lt;new&gt; answer" in text


def test_days_are_whole_and_negative_when_past() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert days_left(now + timedelta(days=3, hours=23), now) == 3
    assert days_left(now - timedelta(hours=1), now) == -1
    assert days_left(None, now) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 min"), (59, "0 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
