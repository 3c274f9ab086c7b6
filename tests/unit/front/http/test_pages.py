"""Templates, static files, and how times and sizes are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mailfront.front.http.pages import Pages, octets, short_date
from tests.support.memory_browser import MemoryBrowser
from tests.support.webmail import Webmail


def test_values_are_escaped() -> None:
    page = Pages("mail.example.test").render("error.html", title="<script>", text="a & b")
    assert isinstance(page.text, str)
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize("name", ["nothing.css", "..%2fpages.py", "%2e%2e"])
async def test_only_the_named_static_files_are_served(name: str) -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        assert (await browser.get(f"/static/{name}")).status == 404


async def test_static_files_may_be_cached() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        answer = await browser.get("/static/icon.svg")
    assert answer.header("Content-Type") == "image/svg+xml; charset=utf-8"
    assert answer.header("Cache-Control") == "public, max-age=86400"


def test_the_stylesheet_loads_nothing_from_elsewhere() -> None:
    stylesheet = Pages("x").static["mailfront.css"]
    assert b"url(" not in stylesheet
    assert b"@import" not in stylesheet


def test_dates_are_as_short_as_they_can_be() -> None:
    now = datetime.now(UTC)
    assert ":" in short_date(now)
    assert str(now.year - 2) in short_date(now - timedelta(days=731))


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (2048, "2 KB"), (5_400_000, "5.1 MB")]
)
def test_sizes(count: int, text: str) -> None:
    assert octets(count) == text
