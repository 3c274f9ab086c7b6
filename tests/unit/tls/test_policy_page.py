"""The page about TLS policies is the one that the policy module makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.tls.ciphers import SUITES
from mailfront.tls.policy_page import PAGE, main, policy_page
from mailfront.tls.profiles import PROFILES

CHECKOUT = Path(__file__).parents[3]


def test_the_page_is_current() -> None:
    made = (CHECKOUT / PAGE).read_text()
    assert made == policy_page(), "run: python -m mailfront.tls.policy_page ."


def test_the_page_tells_of_every_profile_and_every_suite() -> None:
    page = policy_page()
    for profile in PROFILES:
        assert f"`{profile.dated_name}`" in page
        assert all(name in page for tier in profile.groups for name in tier)
    for suite in SUITES:
        assert f"| `{suite.iana}` | {suite.bits} | {suite.fate.value}: {suite.reason} |" in page


def test_the_generator_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr("sys.argv", ["policy_page", str(tmp_path)])
    main()
    assert (tmp_path / PAGE).read_text() == policy_page()
