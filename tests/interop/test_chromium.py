"""The web pages in headless Chromium over HTTPS: sign in, read, write, sign out.

Each test leaves screenshots in its temporary directory, named after what they show.
"""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.clients import deliver
from tests.support.dialogue import unverified_context
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer

DEADLINE = 20
PHONE = (390, 844)
DESK = (1280, 900)
STRANGER = "stranger@example.org"
HTML = """\
From: Stranger <stranger@example.org>\r
To: <alice@example.test>\r
Subject: Formatted and hostile\r
MIME-Version: 1.0\r
Content-Type: text/html; charset=utf-8\r
\r
<p>Readable <b>text</b>.</p>\r
<script>document.title = "taken over"</script>\r
<img src="https://tracker.example.org/pixel.gif" onerror="document.title = 'taken over'">\r
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser without window that takes the self-signed certificate."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(require_program("chromium"))
    profile = tmp_path_factory.mktemp("chromium")
    # Chromium's own sandbox does not start as root, as which pipelines run.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.accept_insecure_certs = True
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = require_program("chromedriver", "chromium-driver")
    running = webdriver.Chrome(options=options, service=Service(str(driver)))
    running.set_window_size(*DESK)
    running.set_page_load_timeout(DEADLINE)
    yield running
    running.quit()


@pytest.fixture
def signed_in(server: MailServer, browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """The browser with alice signed in; signed out afterwards."""
    sign_in(server, browser, ALICE)
    yield browser
    browser.set_window_size(*DESK)
    browser.get(address(server, "/"))
    find(browser, 'form[action="/sign-out"] button').click()
    find(browser, "#login")


def address(server: MailServer, path: str) -> str:
    """Return the address of a page."""
    return f"https://{LOOPBACK}:{server.ports['https']}{path}"


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    """Return the first element that matches, waiting for it."""
    return WebDriverWait(browser, DEADLINE).until(
        expected_conditions.presence_of_element_located((By.CSS_SELECTOR, selector))
    )


def find_link(browser: webdriver.Chrome, text: str) -> WebElement:
    """Return the link that contains a text, waiting for it."""
    return WebDriverWait(browser, DEADLINE).until(
        expected_conditions.presence_of_element_located((By.PARTIAL_LINK_TEXT, text))
    )


def sign_in(server: MailServer, browser: webdriver.Chrome, user: str) -> None:
    """Fill in the form of the start page."""
    browser.get(address(server, "/"))
    find(browser, "#login").send_keys(user)
    find(browser, "#password").send_keys(server.password(user))
    find(browser, "#password").submit()
    find_link(browser, "New message")


def text_of(browser: webdriver.Chrome) -> str:
    """Return the text that the page shows."""
    return find(browser, "body").text


def console_messages(browser: webdriver.Chrome) -> list[str]:
    """Return what the browser's console told since the last call."""
    entries: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries]


def test_a_person_signs_in_reads_mail_and_signs_out(
    server: MailServer, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    deliver(
        server.ports["smtp"], STRANGER, ALICE, "--header", "Subject: Seen in a browser",
        "--body", "A letter from far away.",
    )  # fmt: skip
    browser.get(address(server, "/"))
    browser.save_screenshot(str(tmp_path / "sign-in.png"))
    sign_in(server, browser, ALICE)
    browser.save_screenshot(str(tmp_path / "inbox.png"))
    find_link(browser, "Seen in a browser").click()
    find(browser, "article")
    browser.save_screenshot(str(tmp_path / "message.png"))
    assert "A letter from far away." in text_of(browser)
    find(browser, 'form[action="/sign-out"] button').click()
    find(browser, "#login")
    browser.get(address(server, "/mail"))
    assert find(browser, "#login").is_displayed()


def test_a_wrong_password_is_told(server: MailServer, browser: webdriver.Chrome) -> None:
    browser.get(address(server, "/"))
    find(browser, "#login").send_keys(ALICE)
    find(browser, "#password").send_keys("wrong")
    find(browser, "#password").submit()
    assert find(browser, '[role="alert"]').text


def test_a_message_written_in_the_browser_arrives_and_is_kept(
    server: MailServer, signed_in: webdriver.Chrome, tmp_path: Path
) -> None:
    find_link(signed_in, "New message").click()
    find(signed_in, "#to").send_keys(BOB)
    find(signed_in, "#subject").send_keys("Written in a browser")
    find(signed_in, "#text").send_keys("Grüße an Bob.")
    signed_in.save_screenshot(str(tmp_path / "compose.png"))
    find(signed_in, "#subject").submit()
    assert find(signed_in, '[role="status"]').text
    with imaplib.IMAP4_SSL(
        LOOPBACK, server.ports["imaps"], ssl_context=unverified_context()
    ) as bob:
        bob.login(BOB, server.password(BOB))
        bob.select("INBOX")
        _, found = bob.search(None, "SUBJECT", '"Written in a browser"')
        assert len(found[0].split()) == 1
    find_link(signed_in, "Sent").click()
    assert find_link(signed_in, "Written in a browser")


def test_scripts_and_remote_images_of_a_message_do_nothing(
    server: MailServer, signed_in: webdriver.Chrome, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(HTML.encode())
    deliver(server.ports["smtp"], STRANGER, ALICE, "--data", f"@{letter}")
    signed_in.get(address(server, "/mail"))
    find_link(signed_in, "Formatted and hostile").click()
    find(signed_in, "article")
    signed_in.save_screenshot(str(tmp_path / "hostile.png"))
    assert "Readable text." in text_of(signed_in)
    assert "taken over" not in signed_in.title
    assert not signed_in.find_elements(By.CSS_SELECTOR, "article script, article img[src^=http]")


def test_the_administrator_sees_services_and_nicknames(
    server: MailServer, signed_in: webdriver.Chrome, tmp_path: Path
) -> None:
    signed_in.get(address(server, "/status"))
    signed_in.save_screenshot(str(tmp_path / "status.png"))
    shown = text_of(signed_in)
    for nickname in ("smtp-cert", "imap-cert", "pop-cert", "http-cert"):
        assert nickname in shown
    for port in server.ports.values():
        assert str(port) in shown


def test_nobody_else_sees_the_status(server: MailServer, browser: webdriver.Chrome) -> None:
    sign_in(server, browser, BOB)
    browser.get(address(server, "/status"))
    assert "imap-cert" not in text_of(browser)
    browser.get(address(server, "/"))
    find(browser, 'form[action="/sign-out"] button').click()
    find(browser, "#login")


@pytest.mark.parametrize("path", ["/mail", "/compose", "/status"])
def test_no_page_is_wider_than_a_phone(
    server: MailServer, signed_in: webdriver.Chrome, tmp_path: Path, path: str
) -> None:
    signed_in.set_window_size(*PHONE)
    signed_in.get(address(server, path))
    find(signed_in, "main")
    signed_in.save_screenshot(str(tmp_path / "phone.png"))
    widths = signed_in.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert widths[0] <= widths[1]


def test_no_page_breaks_its_own_content_security_policy(
    server: MailServer, signed_in: webdriver.Chrome
) -> None:
    console_messages(signed_in)
    for path in ("/mail", "/compose", "/status"):
        signed_in.get(address(server, path))
        find(signed_in, "main")
    assert console_messages(signed_in) == []
