"""Sign in and out."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from mailfront.front.login_policy import LoginPolicy
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import Peer, TlsFacts
from tests.support.memory_browser import LOCAL, PEER, Answer, MemoryBrowser
from tests.support.webmail import PASSWORD, SETTINGS, USER, Webmail


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


CERTIFIED = TlsFacts(
    "TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, resumed=False, nickname="http-cert",
    client_certificate=ClientCertificate(b"leaf"),
)  # fmt: skip


async def with_certificate(browser: MemoryBrowser) -> Answer:
    """Press the button that a certificate brings."""
    page = await browser.get("/sign-in")
    return await browser.post("/sign-in/certificate", {"csrf_token": page.field("csrf_token")})


async def test_a_certificate_that_maps_to_a_user_offers_to_go_on_as_them() -> None:
    webmail = Webmail()
    webmail.authenticator.holder = USER
    async with MemoryBrowser(webmail.application(), tls_facts=CERTIFIED) as browser:
        page = await browser.get("/sign-in")
        assert f"Continue as {USER}" in page.text
        assert 'type="password"' in page.text
        answer = await with_certificate(browser)
        assert (answer.status, answer.header("Location")) == (303, "/mail")
        assert USER in (await browser.get("/mail")).text


@pytest.mark.parametrize(
    ("certificate", "holder"),
    [
        (None, USER),
        (ClientCertificate(b"leaf"), ""),
        (ClientCertificate(b"leaf", fault=CertificateFault.EXPIRED), USER),
    ],
)
async def test_any_other_certificate_offers_nothing(
    certificate: ClientCertificate | None, holder: str
) -> None:
    webmail = Webmail()
    webmail.authenticator.holder = holder
    facts = replace(CERTIFIED, client_certificate=certificate)
    async with MemoryBrowser(webmail.application(), tls_facts=facts) as browser:
        assert "Continue as" not in (await browser.get("/sign-in")).text


async def test_a_certificate_that_maps_to_nobody_does_not_sign_in() -> None:
    async with MemoryBrowser(Webmail().application(), tls_facts=CERTIFIED) as browser:
        answer = await with_certificate(browser)
        assert answer.status == 401
        assert "Your certificate does not sign you in here." in answer.text


async def test_where_certificates_are_not_offered_the_buttons_address_signs_nobody_in() -> None:
    webmail = Webmail(replace(SETTINGS, login=LoginPolicy(0, mechanisms=("PLAIN", "LOGIN"))))
    webmail.authenticator.holder = USER
    async with MemoryBrowser(webmail.application(), tls_facts=CERTIFIED) as browser:
        answer = await with_certificate(browser)
        assert answer.status == 403
        assert "Your certificate does not sign you in here." in answer.text
        assert "Continue as" not in answer.text
        assert (await browser.get("/mail")).status == 303
    assert webmail.authenticator.peers == []


@pytest.mark.parametrize("token", ["", "guess"])
async def test_another_site_cannot_press_the_button(token: str) -> None:
    webmail = Webmail()
    webmail.authenticator.holder = USER
    async with MemoryBrowser(webmail.application(), tls_facts=CERTIFIED) as browser:
        await browser.get("/sign-in")
        answer = await browser.post("/sign-in/certificate", {"csrf_token": token})
        assert answer.status == 403
        assert (await browser.get("/mail")).status == 303


async def test_a_session_by_certificate_is_good_over_connections_with_that_certificate_alone() -> (
    None
):
    webmail = Webmail()
    webmail.authenticator.holder = USER
    async with MemoryBrowser(webmail.application(), tls_facts=CERTIFIED) as browser:
        await with_certificate(browser)
        for certificate in (
            None,
            ClientCertificate(b"another"),
            ClientCertificate(b"leaf", fault=CertificateFault.REVOKED),
        ):
            browser.tls_facts = replace(CERTIFIED, client_certificate=certificate)
            assert (await browser.get("/mail")).status == 303
        browser.tls_facts = CERTIFIED
        assert (await browser.get("/mail")).status == 200


async def test_a_session_by_password_is_bound_to_no_certificate() -> None:
    async with MemoryBrowser(Webmail().application(), tls_facts=CERTIFIED) as browser:
        await browser.sign_in(USER, PASSWORD)
        browser.tls_facts = None
        assert (await browser.get("/mail")).status == 200


async def test_where_certificates_are_the_only_door_there_is_no_form_and_none_is_taken() -> None:
    settings = replace(SETTINGS, login=LoginPolicy(0, password_login=False))
    webmail = Webmail(settings)
    async with MemoryBrowser(webmail.application()) as browser:
        page = await browser.get("/sign-in")
        assert 'type="password"' not in page.text
        assert "Passwords are not taken here" in page.text
        fields = {"csrf_token": browser.cookies["__Host-sign-in"], "login": USER}
        answer = await browser.post("/sign-in", {**fields, "password": PASSWORD})
        assert answer.status == 403
    assert webmail.authenticator.peers == []
