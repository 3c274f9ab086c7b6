"""Sign in and out."""

from __future__ import annotations

import logging

import pytest

from mailfront.interfaces.peer import Peer
from tests.support.memory_browser import LOCAL, PEER, MemoryBrowser
from tests.support.webmail import PASSWORD, USER, Webmail


async def test_the_right_password_leads_to_the_mail() -> None:
    webmail = Webmail()
    async with MemoryBrowser(webmail.application()) as browser:
        answer = await browser.sign_in(USER, PASSWORD)
        assert answer.status == 303
        assert answer.header("Location") == "/mail"
        assert USER in (await browser.get("/mail")).text
    assert webmail.authenticator.peers == [Peer(*PEER, *LOCAL)]


async def test_cookies_are_bound_to_host_and_hidden_from_scripts() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        form = await browser.get("/sign-in")
        answer = await browser.sign_in(USER, PASSWORD)
    for cookie in (form.header_values("Set-Cookie")[0], answer.header_values("Set-Cookie")[0]):
        assert cookie.startswith("__Host-")
        for attribute in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            assert attribute in cookie
        assert "Domain" not in cookie


async def test_all_failures_look_the_same() -> None:
    pages = set()
    for login, password in [
        (USER, "no-such"),
        ("nobody@example.test", PASSWORD),
        (USER, "x" * 2000),
    ]:
        async with MemoryBrowser(Webmail().application()) as browser:
            answer = await browser.sign_in(login, password)
        assert answer.status == 401
        assert password not in answer.text
        token = answer.field("csrf_token")
        pages.add(answer.text.replace(token, "").replace(login, ""))
    assert len(pages) == 1


async def test_a_directory_that_is_away_is_no_wrong_password() -> None:
    webmail = Webmail()
    webmail.authenticator.unavailable = True
    async with MemoryBrowser(webmail.application()) as browser:
        answer = await browser.sign_in(USER, PASSWORD)
    assert answer.status == 503
    assert "is wrong" not in answer.text


async def test_a_session_token_that_the_browser_brings_is_never_taken_over() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        browser.cookies["__Host-session"] = "chosen-by-an-attacker-chosen-by-an-attacker"
        await browser.sign_in(USER, PASSWORD)
        assert browser.cookies["__Host-session"] != "chosen-by-an-attacker-chosen-by-an-attacker"


async def test_signing_in_again_ends_the_session_before() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        form = await browser.get("/sign-in")
        waiting = {**browser.cookies}
        await browser.sign_in(USER, PASSWORD)
        first = browser.cookies["__Host-session"]
        browser.cookies.update(waiting)
        fields = {"csrf_token": form.field("csrf_token"), "login": USER, "password": PASSWORD}
        assert (await browser.post("/sign-in", fields)).status == 303
        assert browser.cookies["__Host-session"] != first
        browser.cookies["__Host-session"] = first
        assert (await browser.get("/mail")).status == 303


async def test_a_form_without_the_cookie_of_its_page_is_refused() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        form = await browser.get("/sign-in")
        browser.cookies.clear()
        fields = {"csrf_token": form.field("csrf_token"), "login": USER, "password": PASSWORD}
        assert (await browser.post("/sign-in", fields)).status == 403


async def test_signing_out_ends_the_session_and_needs_the_token() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        kept = dict(browser.cookies)
        assert (await browser.post("/sign-out", {})).status == 403
        page = await browser.get("/mail")
        answer = await browser.post("/sign-out", {"csrf_token": page.field("csrf_token")})
        assert answer.header("Location") == "/sign-in"
        assert browser.cookies == {}
        browser.cookies = kept
        assert (await browser.get("/mail")).status == 303


async def test_no_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with MemoryBrowser(Webmail().application()) as browser:
            await browser.sign_in(USER, "a wrong secret")
            await browser.sign_in(USER, PASSWORD)
    assert "event=refused" in caplog.text
    assert "a wrong secret" not in caplog.text
    assert PASSWORD not in caplog.text


async def test_the_start_leads_where_one_can_go() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        assert (await browser.get("/")).header("Location") == "/sign-in"
        await browser.sign_in(USER, PASSWORD)
        assert (await browser.get("/")).header("Location") == "/mail"
        assert (await browser.get("/sign-in")).header("Location") == "/mail"
