"""The web pages in headless Chromium over HTTPS: sign in, read, write, sign out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.peers import require_program

DEADLINE = 20
PHONE = (390, 844)
DESK = (1280, 900)


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
    driver = require_program("chromedriver", "chromium-driver")
    running = webdriver.Chrome(options=options, service=Service(str(driver)))
    running.set_window_size(*DESK)
    running.set_page_load_timeout(DEADLINE)
    yield running
    running.quit()


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    """Return the first element, waiting for it."""
    return WebDriverWait(browser, DEADLINE).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, selector)
    )
