"""Passwords from a terminal, standard input or a private file."""

import argparse
import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mailfront.cli.prompt import (
    LONGEST_PASSWORD,
    add_password_arguments,
    password_from_file,
)
from mailfront.errors import OperatorError

CHECKOUT = Path(__file__).parents[3]
PROGRAM = """
import argparse, sys
from mailfront.cli.output import print_line, run_command
from mailfront.cli.prompt import add_password_arguments, new_password_from
def command():
    parser = argparse.ArgumentParser()
    add_password_arguments(parser)
    secret = new_password_from(parser.parse_args(), "New password: ", "Again: ")
    print_line("taken " + secret.reveal())
sys.exit(run_command(command))
"""


def private_file(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def run(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        input=given,
        capture_output=True,
        cwd=CHECKOUT,
        start_new_session=True,
        timeout=30,
        check=False,
    )


def converse(*answers: str) -> tuple[int, str]:
    """Run the program on a terminal of its own, answer each prompt, return code and transcript."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(CHECKOUT)
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    transcript = b""
    remaining = list(answers)
    with contextlib.suppress(OSError):  # the terminal's end is an error on Linux
        while chunk := os.read(terminal, 4096):
            transcript += chunk
            if remaining and transcript.endswith(b": "):
                os.write(terminal, remaining.pop(0).encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), transcript.decode()


def test_a_terminal_is_asked_twice_without_echo() -> None:
    code, transcript = converse("correct horse", "correct horse")
    assert code == 0
    assert transcript.split("taken ")[0].replace("\r", "") == "New password: \nAgain: \n"
    assert "taken correct horse" in transcript


def test_two_different_answers_are_refused() -> None:
    code, transcript = converse("correct horse", "battery staple")
    assert code == 1
    assert "the two passwords differ" in transcript
    assert "horse" not in transcript


def test_an_empty_answer_is_refused() -> None:
    code, transcript = converse("")
    assert code == 1
    assert "an empty password is not taken" in transcript


def test_without_a_terminal_the_remedy_names_the_other_ways() -> None:
    done = run(given=b"secret\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"there is no terminal" in done.stderr
    assert b"--help" in done.stderr


def test_standard_input_gives_its_first_line() -> None:
    done = run("--password-stdin", given="pass:wörd \nmore\n".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "taken pass:wörd \n"


def test_a_dash_as_file_is_standard_input() -> None:
    assert run("--password-file", "-", given=b"secret").stdout == b"taken secret\n"


def test_a_private_file_gives_its_first_line(tmp_path: Path) -> None:
    name = private_file(tmp_path / "password", b"secret\r\nmore\n")
    assert run("--password-file", name).stdout == b"taken secret\n"


def test_both_ways_at_once_are_wrong_usage() -> None:
    assert run("--password-stdin", "--password-file", "x").returncode == 2


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    name = private_file(tmp_path / "password", b"hunter2\n", mode)
    with pytest.raises(OperatorError, match="chmod 600") as caught:
        password_from_file(name)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\xff\xfe\n",
        b"a\x00b\n",
        b"a\x1bb\n",
        b"x" * (LONGEST_PASSWORD + 1),
        b"x" * 10_000_000,
    ],
    ids=["nothing", "an empty line", "not UTF-8", "NUL", "escape", "too long", "far too long"],
)
def test_what_cannot_be_a_password_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(OperatorError):
        password_from_file(private_file(tmp_path / "password", content))


def test_the_longest_password_is_taken(tmp_path: Path) -> None:
    content = b"x" * LONGEST_PASSWORD + b"\r\n"
    secret = password_from_file(private_file(tmp_path / "password", content))
    assert len(secret.reveal()) == LONGEST_PASSWORD


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        password_from_file(str(tmp_path / "nothing"))


def test_no_argument_takes_the_password_itself() -> None:
    parser = argparse.ArgumentParser(prog="x")
    add_password_arguments(parser)
    text = parser.format_help()
    assert "--password-stdin" in text
    assert "--password-file FILE" in text
    assert "--password PASSWORD" not in text
