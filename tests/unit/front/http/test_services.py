"""Who may see what: sessions by cookie, administrators by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.front.http import services
from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.peer import TlsFacts
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


CERTIFIED = TlsFacts(
    "TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, resumed=False, nickname="http-cert",
    client_certificate=ClientCertificate(b"leaf"),
)  # fmt: skip


async def signed_in_by_certificate(webmail: Webmail, browser: MemoryBrowser) -> None:
    webmail.authenticator.holder = USER
    page = await browser.get("/sign-in")
    await browser.post("/sign-in/certificate", {"csrf_token": page.field("csrf_token")})
    assert (await browser.get("/mail")).status == 200


@pytest.mark.parametrize("holder", ["", "bob@example.test"])
async def test_a_certificate_that_stands_for_the_user_no_more_ends_its_session_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, holder: str
) -> None:
    webmail = Webmail()
    async with MemoryBrowser(webmail.application(), tls_facts=CERTIFIED) as browser:
        await signed_in_by_certificate(webmail, browser)
        webmail.authenticator.holder = holder
        assert (await browser.get("/mail")).status == 200
        monkeypatch.setattr(services, "MAPPED_SECONDS", 0.0)
        answer = await browser.get("/mail")
        assert (answer.status, answer.header("Location")) == (303, "/sign-in")
        webmail.authenticator.holder = USER
        assert (await browser.get("/mail")).status == 303


async def test_while_a_certificate_cannot_be_mapped_its_session_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webmail = Webmail()
    monkeypatch.setattr(services, "MAPPED_SECONDS", 0.0)
    async with MemoryBrowser(webmail.application(), tls_facts=CERTIFIED) as browser:
        await signed_in_by_certificate(webmail, browser)
        webmail.authenticator.unavailable = True
        answer = await browser.get("/mail")
        assert answer.status == 503
        assert "cannot be checked right now" in answer.text
        webmail.authenticator.unavailable = False
        assert (await browser.get("/mail")).status == 200


async def test_a_session_by_password_asks_for_no_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "MAPPED_SECONDS", 0.0)
    async with MemoryBrowser(Webmail().application(), tls_facts=CERTIFIED) as browser:
        await browser.sign_in(USER, PASSWORD)
        assert (await browser.get("/mail")).status == 200
