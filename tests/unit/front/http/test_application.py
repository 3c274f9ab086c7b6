"""The application put together: what every answer has, and which paths there are."""

from __future__ import annotations

import pytest

from tests.support.memory_browser import MemoryBrowser
from tests.support.webmail import Webmail

OPEN_PATHS = ["/sign-in", "/healthz", "/static/mailfront.css", "/mail/config-v1.1.xml"]
GUARDED_PATHS = ["/mail", "/mail/message?uid=1", "/mail/part?uid=1&part=1", "/compose", "/status"]


@pytest.mark.parametrize("path", [*OPEN_PATHS, *GUARDED_PATHS, "/", "/nowhere"])
async def test_every_answer_has_the_security_headers(path: str) -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        answer = await browser.get(path)
    assert answer.header("Content-Security-Policy") == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Referrer-Policy") == "no-referrer"
    assert (answer.header("Strict-Transport-Security") or "").startswith("max-age=")
    assert answer.header("Server") == "mailfront"


@pytest.mark.parametrize("path", GUARDED_PATHS)
async def test_pages_of_mail_lead_to_sign_in_and_are_not_cached(path: str) -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        answer = await browser.get(path)
    assert answer.status == 303
    assert answer.header("Location") == "/sign-in"
    assert answer.header("Cache-Control") == "no-store"


@pytest.mark.parametrize("path", OPEN_PATHS)
async def test_open_pages_need_no_session(path: str) -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        assert (await browser.get(path)).status == 200


async def test_the_health_page_tells_nothing_else() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        assert (await browser.get("/healthz")).body == b"ok\n"
