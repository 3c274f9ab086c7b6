"""Forms: bounded, decoded strictly, and only from our own pages."""

from __future__ import annotations

import pytest

from mailfront.front.http.forms import FIELD_LIMIT, SMALL_FORM
from tests.support.memory_browser import Answer, MemoryBrowser
from tests.support.webmail import PASSWORD, USER, Webmail

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def posted(body: bytes, **headers: str) -> Answer:
    async with MemoryBrowser(Webmail().application()) as browser:
        token = (await browser.get("/sign-in")).field("csrf_token").encode()
        fields = FORM | headers
        return await browser.request("POST", "/sign-in", body.replace(b"TOKEN", token), fields)


async def test_a_form_with_the_token_of_our_page_is_read() -> None:
    assert (await posted(b"csrf_token=TOKEN&login=a&password=b")).status == 401


@pytest.mark.parametrize("token", [b"", b"x", b"%ff", b"%E2%82%AC"])
async def test_a_form_with_another_token_is_refused(token: bytes) -> None:
    answer = await posted(b"login=a&password=b&csrf_token=" + token)
    assert answer.status in (400, 403)


async def test_a_form_without_token_is_refused() -> None:
    assert (await posted(b"login=a&password=b")).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_that_the_browser_says_comes_from_another_site_is_refused(site: str) -> None:
    assert (await posted(b"csrf_token=TOKEN", Sec_Fetch_Site=site)).status == 403


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/x"])
async def test_other_kinds_of_body_are_refused(kind: str) -> None:
    assert (await posted(b"csrf_token=TOKEN", **{"Content-Type": kind})).status == 415


async def test_a_form_that_is_too_long_is_refused_before_it_is_read() -> None:
    assert (await posted(b"csrf_token=TOKEN&login=" + b"a" * SMALL_FORM)).status == 413


async def test_a_form_of_unknown_length_is_cut_off_at_the_limit() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        await browser.get("/sign-in")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        answer = await browser.raw(
            b"POST /sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Transfer-Encoding: chunked\r\nCookie: " + cookie.encode() + b"\r\n\r\n"
            b"8000\r\n" + b"a" * 0x8000 + b"\r\n0\r\n\r\n"
        )
    assert answer.status == 413


@pytest.mark.parametrize("body", [b"\xff\xfe", b"login=%ff", b"a=b&" * (FIELD_LIMIT + 1)])
async def test_what_is_no_form_is_refused(body: bytes) -> None:
    assert (await posted(body + b"&csrf_token=TOKEN")).status == 400


async def test_of_a_repeated_field_the_first_counts() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        form = await browser.get("/sign-in")
        body = (
            f"csrf_token={form.field('csrf_token')}&csrf_token=x&login={USER}&login=bob"
            f"&password={PASSWORD.replace(' ', '+').replace('<', '%3C').replace('>', '%3E')}"
        )
        answer = await browser.request("POST", "/sign-in", body.encode(), FORM)
    assert answer.status == 303
