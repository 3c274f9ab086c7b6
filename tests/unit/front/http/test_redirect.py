"""The clear HTTP port."""

from __future__ import annotations

import pytest

from mailfront.front.http.redirect import create_redirect
from tests.support.memory_browser import MemoryBrowser


@pytest.mark.parametrize("path", ["/", "/mail?folder=Sent&page=2", "//evil.test/"])
async def test_every_request_is_sent_to_the_configured_name(path: str) -> None:
    application = create_redirect("mail.example.test", 443)
    async with MemoryBrowser(application, host="evil.test") as browser:
        answer = await browser.get(path)
    assert answer.status == 308
    assert answer.header("Location") == f"https://mail.example.test{path}"


async def test_an_unusual_port_is_named() -> None:
    async with MemoryBrowser(create_redirect("mail.example.test", 2443)) as browser:
        answer = await browser.get("/")
    assert answer.header("Location") == "https://mail.example.test:2443/"
