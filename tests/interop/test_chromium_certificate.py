"""Sign-in by client certificate in headless Chromium: the certificate lies in the browser's NSS
database, and a policy of the browser chooses it, as an employer's would.

The policy is a file under /etc/chromium, which only root can write; elsewhere the test is skipped.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

from mailfront.interfaces.secret import Secret
from tests.support.login_site import LoginSite
from tests.support.nss import NssDatabase
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer

DEADLINE = 20
POLICIES = Path("/etc/chromium/policies/managed")
_TRANSPORT_PASSWORD = "only-on-this-disk"


@pytest.fixture(scope="module")
def policy() -> Iterator[None]:
    """Chromium shows certificates of the staff's CA to our address without asking."""
    if not os.access("/etc", os.W_OK):
        pytest.skip("the policy of a browser can only be written by root")
    chosen = {"pattern": f"https://{LOOPBACK}", "filter": {"ISSUER": {"CN": "Staff CA"}}}
    made = [path for path in (POLICIES.parent, POLICIES) if not path.exists()]
    POLICIES.mkdir(parents=True, exist_ok=True)
    path = POLICIES / f"mailfront-{uuid.uuid4().hex}.json"
    path.write_text(json.dumps({"AutoSelectCertificateForUrls": [json.dumps(chosen)]}))
    yield
    path.unlink()
    for directory in reversed(made):
        directory.rmdir()


@pytest.fixture(scope="module")
def site(
    server_root_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoginSite]:
    directory = tmp_path_factory.mktemp("site")
    options = {"service.http.allowpasswordlogin": "no"}
    server = MailServer.copied(server_root_template, directory / "root", options)
    site = LoginSite(server, directory)
    with server:
        yield site


def browser_with(home: Path, site: LoginSite, case: str) -> webdriver.Chrome:
    """A browser whose person has the certificate of a case."""
    require_program("certutil", "libnss3-tools")
    (home / ".pki").mkdir(parents=True)
    database = NssDatabase(home / ".pki" / "nssdb", password=Secret(""))
    newer = home / ".local" / "share" / "pki"
    newer.parent.mkdir(parents=True)
    newer.symlink_to(home / ".pki")
    identity = site.identities[case]
    if identity is not None:
        package = home / "client.p12"
        package.write_bytes(
            serialize_key_and_certificates(
                case.encode(),
                identity.key,
                identity.certificate,
                identity.issuers,
                BestAvailableEncryption(_TRANSPORT_PASSWORD.encode()),
            )
        )
        password = home / "client.password"
        password.write_text(_TRANSPORT_PASSWORD)
        database.pk12util("-i", package, "-w", password)
    options = webdriver.ChromeOptions()
    options.binary_location = str(require_program("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={home / 'profile'}")
    options.accept_insecure_certs = True
    driver = require_program("chromedriver", "chromium-driver")
    environment = {**os.environ, "HOME": str(home)}
    running = webdriver.Chrome(options=options, service=Service(str(driver), env=environment))
    running.set_page_load_timeout(DEADLINE)
    return running


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    """Return the first element that matches, waiting for it."""
    return WebDriverWait(browser, DEADLINE).until(
        expected_conditions.presence_of_element_located((By.CSS_SELECTOR, selector))
    )


@pytest.mark.usefixtures("policy")
def test_a_person_with_a_certificate_signs_in_without_a_password(
    site: LoginSite, tmp_path: Path
) -> None:
    browser = browser_with(tmp_path / "home", site, "valid")
    try:
        browser.get(f"https://{LOOPBACK}:{site.server.ports['https']}/")
        button = find(browser, "#continue")
        browser.save_screenshot(str(tmp_path / "continue.png"))
        assert button.text == f"Continue as {ALICE}"
        assert not browser.find_elements(By.CSS_SELECTOR, "#password")
        button.click()
        assert find(browser, 'form[action="/sign-out"]')
        browser.save_screenshot(str(tmp_path / "inbox.png"))
        assert ALICE in find(browser, "body").text
        find(browser, 'form[action="/sign-out"] button').click()
        assert find(browser, "#continue").is_displayed()
    finally:
        browser.quit()


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("case", ["unmapped", "none"])
def test_who_has_none_that_maps_to_a_user_is_told_that_certificates_are_the_only_door(
    site: LoginSite, tmp_path: Path, case: str
) -> None:
    browser = browser_with(tmp_path / "home", site, case)
    try:
        browser.get(f"https://{LOOPBACK}:{site.server.ports['https']}/")
        assert "Passwords are not taken here" in find(browser, "body").text
        assert not browser.find_elements(By.CSS_SELECTOR, "#continue, #password")
    finally:
        browser.quit()
