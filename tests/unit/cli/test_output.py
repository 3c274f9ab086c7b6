"""What commands print and how they end."""

import subprocess
import sys
from pathlib import Path

import pytest

from mailfront.cli.output import (
    TRACEBACK_VARIABLE,
    display_width,
    format_table,
    print_json,
    print_line,
    print_message,
    print_table,
    printable,
    run_command,
)
from mailfront.errors import BackendError, OperatorError


def test_a_table_is_padded_to_the_widest_cell_under_a_rule() -> None:
    assert format_table(
        ["Alias", "Self-\nsigned?", "Issued by"],
        [["Server-Cert", "y", "CN=a"], ["x", "n", "CN=example"]],
    ) == [
        "Alias        Self-    Issued by",
        "             signed?",
        "-----------  -------  ----------",
        "Server-Cert  y        CN=a",
        "x            n        CN=example",
    ]


def test_a_table_without_rows_has_its_head() -> None:
    assert format_table(["A", "Bc"], []) == ["A  Bc", "-  --"]


def test_wide_and_combining_characters_are_counted_as_terminals_show_them() -> None:
    assert display_width("abc") == 3
    assert display_width("証明") == 4
    assert display_width("e\u0301") == 1


def test_a_cell_cannot_steer_the_terminal_or_break_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(["Alias"], [["a\x1b[31m\nb\r"]])
    assert capsys.readouterr().out.splitlines()[2] == "a\\x1b[31m\\nb\\r"


def test_unprintable_characters_become_escapes() -> None:
    assert printable("plain ä") == "plain ä"
    assert printable("\x07\u202e\udcff") == "\\x07\\u202e\\udcff"


def test_data_goes_to_stdout_and_messages_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("data")
    print_json({"n": 1, "list": ["ä\x1b"]})
    print_message("a hint\nand more\x1b")
    captured = capsys.readouterr()
    assert captured.out == 'data\n{\n  "n": 1,\n  "list": [\n    "\\u00e4\\u001b"\n  ]\n}\n'
    assert captured.err == "a hint\nand more\\x1b\n"


def test_a_command_that_returns_nothing_or_a_code_ends_so() -> None:
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 3) == 3


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OperatorError("it is wrong", remedy="mend it", file=Path("/a/b"), line=7),
            "/a/b:7: it is wrong: mend it",
        ),
        (BackendError("the store is full", temporary=True), "the store is full"),
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: Permission denied"),
        (OSError("odd"), "OSError"),
    ],
)
def test_a_mistake_is_one_text_on_stderr_and_code_1(
    capsys: pytest.CaptureFixture[str], error: Exception, text: str
) -> None:
    def command() -> int:
        raise error

    assert run_command(command) == 1
    assert capsys.readouterr() == ("", f"{text}\n")


def test_our_own_fault_names_the_place_but_not_the_text_which_may_be_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> int:
        raise ValueError("hunter2")

    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    assert run_command(command) == 1
    captured = capsys.readouterr()
    assert "ValueError at test_output.py:" in captured.err
    assert "hunter2" not in captured.err
    assert "Traceback" not in captured.err
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(ValueError, match="hunter2"):
        run_command(command)


def test_the_parser_s_exit_code_is_the_command_s() -> None:
    def command() -> int:
        raise SystemExit(2)

    assert run_command(command) == 2


def test_an_interrupt_ends_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise KeyboardInterrupt

    assert run_command(command) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_broken_pipe_is_no_failure() -> None:
    program = (
        "import sys\n"
        "from mailfront.cli.output import print_line, run_command\n"
        "def command():\n"
        "    for number in range(200000):\n"
        "        print_line(str(number))\n"
        "sys.exit(run_command(command))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(30) == 0


def test_a_terminal_without_unicode_gets_escapes_instead_of_a_failure() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from mailfront.cli.output import *; run_command(lambda: print_line('証'))",
        ],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii"},
        cwd=Path(__file__).parents[3],
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"\\u8a3c\n", b"")
