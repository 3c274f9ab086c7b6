"""Modules are asked in another process, which may end as it likes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mailfront.errors import TokenError
from mailfront.keystore.pkcs11.child import ask

PROGRAM = """\
import sys, time
from mailfront.keystore.pkcs11.child import answer, take_stdout
stdout = take_stdout()
print("noise of a library")
{}
answer(stdout, sys.argv[1].encode())
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[4]}")
    return tmp_path / "asked_for_a_test.py"


def test_the_answer_is_what_the_program_wrote_and_nothing_that_a_library_printed(
    program: Path,
) -> None:
    program.write_text(PROGRAM.format(""))
    assert ask(program.stem, "an argument") == b"an argument"


def test_a_crash_is_told(program: Path) -> None:
    program.write_text(PROGRAM.format("import os; os.abort()"))
    with pytest.raises(TokenError, match="ended the process") as caught:
        ask(program.stem, "x")
    assert caught.value.temporary


def test_one_that_hangs_is_given_up(program: Path) -> None:
    program.write_text(PROGRAM.format("time.sleep(60)"))
    with pytest.raises(TokenError, match="did not answer"):
        ask(program.stem, "x", time_limit=1.0)


def test_a_python_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(TokenError, match="No such file"):
        ask("anything")
