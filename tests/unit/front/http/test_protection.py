"""Errors made friendly, and what they must not tell."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from mailfront.errors import BackendError
from mailfront.interfaces.mail_reader import Folder
from tests.support.memory_browser import MemoryBrowser
from tests.support.memory_mail import MemoryReader
from tests.support.webmail import PASSWORD, SETTINGS, USER, Webmail


class FailingReader(MemoryReader):
    failure: BaseException = RuntimeError("the inner secret")

    async def folders(self, user: str) -> list[Folder]:
        raise self.failure


class SlowReader(MemoryReader):
    async def folders(self, user: str) -> list[Folder]:
        await asyncio.Event().wait()
        return []


@pytest.mark.parametrize("host", ["", "a b", "evil.test/x", "x" * 300, "<script>", "[::1", "a:b:c"])
async def test_an_absurd_host_is_refused(host: str) -> None:
    async with MemoryBrowser(Webmail().application(), host=host) as browser:
        assert (await browser.get("/sign-in")).status == 400


@pytest.mark.parametrize("host", ["mail.example.test", "localhost:2443", "[::1]:2443", "192.0.2.1"])
async def test_sensible_hosts_are_served(host: str) -> None:
    async with MemoryBrowser(Webmail().application(), host=host) as browser:
        assert (await browser.get("/sign-in")).status == 200


async def test_an_unknown_path_gets_a_friendly_page() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        answer = await browser.get("/nowhere/%3Cscript%3E")
    assert answer.status == 404
    assert "There is nothing here" in answer.text
    assert "script" not in answer.text


async def test_a_wrong_method_names_the_right_ones() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        answer = await browser.post("/healthz", {})
    assert answer.status == 405
    assert answer.header("Allow") == "GET,HEAD"


async def test_an_unexpected_error_shows_a_number_and_is_logged_under_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    webmail = Webmail()
    webmail.reader = FailingReader({})
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        with caplog.at_level(logging.ERROR):
            answer = await browser.get("/mail")
    assert answer.status == 500
    assert "the inner secret" not in answer.text
    reference = answer.text.partition("Reference: ")[2][:8]
    assert f"reference={reference}" in caplog.text
    assert "the inner secret" in caplog.text


@pytest.mark.parametrize(("temporary", "status"), [(True, 503), (False, 404)])
async def test_a_failing_backend_is_told_without_its_words(temporary: bool, status: int) -> None:
    webmail, reader = Webmail(), FailingReader({})
    reader.failure = BackendError("/srv/store is gone", temporary=temporary)
    webmail.reader = reader
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        answer = await browser.get("/mail")
    assert answer.status == status
    assert "/srv" not in answer.text


async def test_a_request_that_takes_too_long_ends() -> None:
    webmail = Webmail(replace(SETTINGS, request_timeout=0.05))
    webmail.reader = SlowReader({})
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        assert (await browser.get("/mail")).status == 408


async def test_a_form_that_never_ends_is_given_up() -> None:
    webmail = Webmail(replace(SETTINGS, request_timeout=0.05))
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.get("/sign-in")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        answer = await browser.raw(
            b"POST /sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nCookie: "
            + cookie.encode() + b"\r\n\r\nlogin="
        )  # fmt: skip
    assert answer.status == 408
