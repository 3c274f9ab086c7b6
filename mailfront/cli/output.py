"""What every command prints, and how it ends: data on stdout, messages and hints on stderr.

`run_command` turns what a command raises into a text on stderr and an exit code: 0 ok, 1 failed,
2 wrong usage. Texts that come from files, certificates or peers cannot steer the terminal: control
characters are printed as escapes.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from mailfront.errors import MailfrontError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
TRACEBACK_VARIABLE = "MAILFRONT_TRACEBACK"

JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | dict[str, "JsonValue"]


def printable(text: str) -> str:
    """Return the text with every control or otherwise unprintable character as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def display_width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def print_line(text: str) -> None:
    """Print one line of data on stdout."""
    sys.stdout.write(f"{printable(text)}\n")


def print_json(value: JsonValue) -> None:
    """Print a record or a list as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def print_message(text: str) -> None:
    """Print a message for the person, line by line, on stderr."""
    for line in text.split("\n"):
        sys.stderr.write(f"{printable(line)}\n")


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: headers, a rule of hyphens, the rows.

    Columns are as wide as their widest cell, two blanks between them. A header may have several
    lines, divided by a line feed.
    """
    heads = [header.split("\n") for header in headers]
    height = max((len(head) for head in heads), default=0)
    head_rows = [
        [head[line] if line < len(head) else "" for head in heads] for line in range(height)
    ]
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [
        max(display_width(row[column]) for row in (*head_rows, *cells))
        for column in range(len(headers))
    ]
    rule = ["-" * width for width in widths]
    return [_padded(row, widths) for row in (*head_rows, rule, *cells)]


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; see `format_table`."""
    sys.stdout.writelines(f"{line}\n" for line in format_table(headers, rows))


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)
    ).rstrip()


def run_command(command: Callable[[], int | None]) -> int:
    """Run a command and return its exit code; see the module for how it ends.

    What is our own fault is told in one line without the exception's text, which might hold a
    secret; with the variable MAILFRONT_TRACEBACK set it is raised.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = command() or EXIT_OK
        sys.stdout.flush()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_OK
    except BrokenPipeError:
        _discard_stdout()
        return EXIT_OK
    except KeyboardInterrupt:
        print_message("interrupted")
        return EXIT_INTERRUPTED
    except MailfrontError as error:
        print_message(str(error))
        return EXIT_FAILED
    except OSError as error:
        print_message(_system_error(error))
        return EXIT_FAILED
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        print_message(_own_fault(error))
        return EXIT_FAILED
    return status


def _system_error(error: OSError) -> str:
    place = error.filename if isinstance(error.filename, str) else ""
    what = error.strerror or type(error).__name__
    return f"{place}: {what}" if place else what


def _own_fault(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"a fault of mailfront itself: {type(error).__name__} at "
        f"{Path(frame.filename).name}:{frame.lineno}; please report it, with what "
        f"{TRACEBACK_VARIABLE}=1 in the environment shows"
    )


def _discard_stdout() -> None:
    """Point stdout to nowhere, so that the interpreter's own flush at exit finds no broken pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
