"""A missing program skips its test, and fails it in a pipeline."""

from __future__ import annotations

import pytest

from tests.support.peers import require_program

MISSING = "no-such-program-anywhere"


def test_a_program_that_is_there_is_found() -> None:
    assert require_program("sh").name == "sh"


def test_a_missing_program_skips_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"{MISSING} .*package a-package"):
        require_program(MISSING, "a-package")


def test_a_missing_program_fails_the_test_in_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=MISSING):
        require_program(MISSING)
