"""Webmail over real sockets: a person signs in, reads, answers, and signs out.

The client is aiohttp's over loopback without TLS, told to treat the server as a secure origin, as
browsers do only for HTTPS.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar, web
from yarl import URL

from tests.support.webmail import PASSWORD, USER, Webmail


class Browser:
    """Follows links and fills in forms."""

    def __init__(self, session: ClientSession, origin: URL) -> None:
        self.session = session
        self.origin = origin
        self.text = ""

    async def open(self, path: str) -> ClientResponse:
        async with self.session.get(self.origin.join(URL(path))) as answer:
            self.text = await answer.text()
            return answer

    async def submit(self, path: str, **fields: str) -> ClientResponse:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.text)
        assert token is not None
        form = {"csrf_token": token[1]} | fields
        async with self.session.post(self.origin.join(URL(path)), data=form) as answer:
            self.text = await answer.text()
            return answer


@pytest.fixture
def webmail() -> Webmail:
    return Webmail()


@pytest.fixture
async def browser(webmail: Webmail) -> AsyncIterator[Browser]:
    runner = web.AppRunner(webmail.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    origin = URL.build(scheme="http", host="127.0.0.1", port=runner.addresses[0][1])
    jar = CookieJar(unsafe=True, treat_as_secure_origin=origin)
    async with ClientSession(cookie_jar=jar) as session:
        yield Browser(session, origin)
    await runner.cleanup()


async def test_a_session_from_sign_in_to_sign_out(browser: Browser, webmail: Webmail) -> None:
    assert (await browser.open("/")).url.path == "/sign-in"
    assert (await browser.submit("/sign-in", login=USER, password="wrong")).status == 401
    assert (await browser.submit("/sign-in", login=USER, password=PASSWORD)).url.path == "/mail"
    assert "A plain message" in browser.text
    await browser.open("/mail/message?folder=INBOX&uid=1")
    assert "this is all." in browser.text
    await browser.open("/compose?folder=INBOX&uid=1")
    answer = await browser.submit(
        "/compose", sender=USER, to="bob@example.test", subject="Re: A plain message", text="Thanks"
    )
    assert answer.url.path == "/mail"
    assert "Message sent." in browser.text
    assert len(webmail.submission.submitted) == 1
    assert (await browser.submit("/sign-out")).url.path == "/sign-in"
    assert (await browser.open("/mail")).url.path == "/sign-in"


async def test_many_requests_go_over_one_connection(browser: Browser, webmail: Webmail) -> None:
    await browser.open("/sign-in")
    await browser.submit("/sign-in", login=USER, password=PASSWORD)
    for _ in range(20):
        assert (await browser.open("/mail")).status == 200
