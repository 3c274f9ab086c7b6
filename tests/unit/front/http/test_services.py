"""Who may see what: sessions by cookie, administrators by name."""

from __future__ import annotations

from dataclasses import replace

from tests.support.memory_browser import MemoryBrowser
from tests.support.webmail import PASSWORD, SETTINGS, USER, Webmail


async def test_an_invented_cookie_is_no_session() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        browser.cookies["__Host-session"] = "A" * 43
        assert (await browser.get("/mail")).status == 303


async def test_a_form_without_session_is_refused() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        answer = await browser.post("/compose", {"to": USER, "csrf_token": "x"})
    assert answer.status == 403
    assert "signed out" in answer.text


async def test_only_administrators_are_shown_the_way_to_the_status_page() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        assert "/status" not in (await browser.get("/mail")).text
    admin = Webmail(replace(SETTINGS, admins=frozenset({USER})))
    async with MemoryBrowser(admin.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        assert 'href="/status"' in (await browser.get("/mail")).text
