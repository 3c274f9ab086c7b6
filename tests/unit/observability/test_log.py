"""Where log lines go and what they look like."""

from __future__ import annotations

import logging
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.observability.log import LEVELS, OneLineFormatter, start_logging


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # `start_logging` closes what it replaces: the test run's own handlers must survive.
    root.handlers.clear()
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.handlers.extend(handlers)
    root.setLevel(level)


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("mailfront.x", logging.INFO, __file__, 1, message, (), None)


def test_a_log_file_is_private_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log" / "mailfront.log"
    start_logging("Information", path)
    logging.getLogger("mailfront.x").info("first")
    start_logging("Information", path)
    logging.getLogger("mailfront.x").info("second")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO mailfront.x: first",
        "INFO mailfront.x: second",
    ]


def test_without_a_file_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("Warning", None)
    logging.getLogger("mailfront.x").info("not shown")
    logging.getLogger("mailfront.x").warning("shown")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("WARNING mailfront.x: shown\n")
    assert "not shown" not in printed.err


def test_the_journal_has_its_own_time_stamps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    start_logging("Information", None)
    logging.getLogger("mailfront.x").info("shown")
    assert capsys.readouterr().err == "INFO mailfront.x: shown\n"


def test_each_level_of_the_original_has_its_own() -> None:
    assert LEVELS["Nolog"] > LEVELS["Critical"] > LEVELS["Error"] > LEVELS["Warning"]
    assert LEVELS["Warning"] > LEVELS["Notice"] > LEVELS["Debug"]


def test_a_message_cannot_forge_a_second_line() -> None:
    line = OneLineFormatter(stamped=False).format(record("a\r\nb"))
    assert line == r"INFO mailfront.x: a\r\nb"


def test_each_line_has_its_own_time() -> None:
    formatter = OneLineFormatter(stamped=True)
    stamps = []
    for created, milliseconds in ((1_000_000_000.25, 250), (1_000_000_000.5, 500), (1e9 + 61, 0)):
        each = record("x")
        each.created, each.msecs = created, milliseconds
        stamps.append(formatter.format(each).split(" INFO")[0])
    expected = [
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) + fraction
        for moment, fraction in ((1e9, ".250"), (1e9, ".500"), (1e9 + 61, ".000"))
    ]
    assert stamps == expected


def test_a_stack_follows_its_line() -> None:
    failed = record("failed")
    try:
        raise ValueError("x")
    except ValueError:
        failed.exc_info = sys.exc_info()
    assert "Traceback" in OneLineFormatter(stamped=False).format(failed)


def test_libraries_that_log_dialogues_are_kept_quiet(tmp_path: Path) -> None:
    start_logging("Debug", tmp_path / "log")
    assert not logging.getLogger("mail.log").isEnabledFor(logging.INFO)
