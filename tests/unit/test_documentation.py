"""The documentation keeps up with the repository: links lead somewhere, cited RFCs are listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
STANDARDS = REPOSITORY / "docs" / "standards.md"

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_CITATION = re.compile(r"\bRFC\s+(?:#\s+)?([0-9]{3,5})\b")


def links_of(page: Path) -> list[str]:
    """The targets of a page's links that are not on other sites."""
    text = _CODE.sub("", page.read_text("utf-8"))
    return [target for target in _LINK.findall(text) if "://" not in target]


def anchors_of(page: Path) -> set[str]:
    """The anchors that a page's headings get on GitHub and its kin."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        aim = page.parent / path if path else page
        assert aim.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors_of(aim), f"{page.name}: {target}"


def test_every_rfc_cited_in_the_code_is_listed_in_the_standards() -> None:
    listed = set(_CITATION.findall(STANDARDS.read_text("utf-8")))
    cited = {
        number
        for path in (REPOSITORY / "mailfront").rglob("*.py")
        for number in _CITATION.findall(path.read_text("utf-8"))
    }
    assert sorted(cited - listed) == []
