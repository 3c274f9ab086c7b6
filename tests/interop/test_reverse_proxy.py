"""The reverse proxy with programs that others wrote: Chromium in front, nginx behind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.conftest import NewServer
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.server import MailServer
from tests.support.waiting import eventually
from tests.support.web_behind import WebBehind

DEADLINE = 60
CONTENT = b"0123456789" * 100_000


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A browser without window that takes the self-signed certificate."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(require_program("chromium"))
    # Chromium's own sandbox does not start as root, as which pipelines run.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.accept_insecure_certs = True
    driver = require_program("chromedriver", "chromium-driver")
    running = webdriver.Chrome(options=options, service=Service(str(driver)))
    running.set_page_load_timeout(DEADLINE)
    yield running
    running.quit()


@pytest.fixture
def nginx() -> Iterator[int]:
    """nginx with one large file, at the port that this gives."""
    program = require_program("nginx")
    home = Path(tempfile.mkdtemp(prefix="mailfront-nginx-"))
    home.chmod(0o755)
    (port,) = free_ports(1)
    (home / "content").mkdir()
    (home / "content" / "file.bin").write_bytes(CONTENT)
    (home / "nginx.conf").write_text(
        f"""daemon off; pid {home}/pid; error_log {home}/errors;
events {{}}
http {{
  access_log off; client_body_temp_path {home}/b; proxy_temp_path {home}/p;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  gzip on; gzip_min_length 1; gzip_types *;
  server {{
    listen {LOOPBACK}:{port};
    root {home}/content;
    location /who {{ return 200 "$http_x_forwarded_for $http_x_client_user|\\n"; }}
  }}
}}
"""
    )
    process = subprocess.Popen([program, "-c", home / "nginx.conf", "-e", home / "errors"])
    try:
        eventually((home / "pid").exists, "nginx runs")
        yield port
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def curl(server: MailServer, path: str, *arguments: str) -> bytes:
    return subprocess.run(
        [require_program("curl"), "-sk", "--max-time", "60", *arguments,
         f"https://{LOOPBACK}:{server.ports['https']}{path}"],
        check=True, capture_output=True, timeout=90,
    ).stdout  # fmt: skip


def test_a_page_with_a_web_socket_and_events_works_in_chromium(
    new_server: NewServer, browser: webdriver.Chrome
) -> None:
    with WebBehind() as behind:
        behind.go_on()
        options = {"service.http.upstream": f"http://{LOOPBACK}:{behind.port}"}
        with new_server(options) as server:
            browser.get(f"https://{LOOPBACK}:{server.ports['https']}/page")

            def text(name: str) -> str:
                return browser.find_element(By.ID, name).text

            expected = "mail: heard from the browser / 4001 enough"
            WebDriverWait(browser, DEADLINE).until(lambda _: text("said") == expected)
            WebDriverWait(browser, DEADLINE).until(
                lambda _: text("events").startswith("firstsecond")
            )


def test_files_of_nginx_come_whole_in_ranges_compressed_and_only_if_changed(
    new_server: NewServer, nginx: int
) -> None:
    with new_server({"service.http.upstream": f"http://{LOOPBACK}:{nginx}"}) as server:
        assert curl(server, "/file.bin") == CONTENT
        assert curl(server, "/file.bin", "-r", "5-14") == CONTENT[5:15]
        assert curl(server, "/file.bin", "--compressed") == CONTENT
        packed = curl(server, "/file.bin", "-H", "Accept-Encoding: gzip")
        assert packed.startswith(b"\x1f\x8b")
        head = curl(server, "/file.bin", "-I").decode()
        assert f"Content-Length: {len(CONTENT)}" in head
        etag = next(line for line in head.splitlines() if line.lower().startswith("etag: "))
        unchanged = curl(server, "/file.bin", "-i", "-H", f"If-None-Match: {etag[6:]}")
        assert unchanged.startswith(b"HTTP/1.1 304")
        assert unchanged.endswith(b"\r\n\r\n")
        spoof = ("-H", "X_Client_User: admin", "-H", "X-Forwarded-For: 192.0.2.1")
        assert curl(server, "/who", *spoof) == f"{LOOPBACK} |\n".encode()
