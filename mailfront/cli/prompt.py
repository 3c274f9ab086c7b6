"""Passwords from a person or a program: a terminal, standard input or a file, never the arguments.

Arguments are visible to every user of a machine, so no option takes a password itself. Each
function returns a `Secret`, or raises `OperatorError` with a remedy.
"""

from __future__ import annotations

import argparse
import getpass
import os
import stat
import sys
import warnings
from pathlib import Path

from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret

LONGEST_PASSWORD = 1024
STANDARD_INPUT = "-"


def add_password_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--password-stdin` and `--password-file FILE`, of which one may be given."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from the first line of standard input",
    )
    source.add_argument(
        "--password-file",
        metavar="FILE",
        help="read the password from the first line of FILE, which only its owner may read",
    )


def new_password_from(arguments: argparse.Namespace, prompt: str, confirmation: str) -> Secret:
    """Return the password from where the arguments of `add_password_arguments` say.

    Without them the person is asked, twice.
    """
    if arguments.password_stdin:
        return password_from_stdin()
    if arguments.password_file is not None:
        return password_from_file(arguments.password_file)
    return prompt_for_new_password(prompt, confirmation)


def prompt_for_password(prompt: str) -> Secret:
    """Ask on the terminal, without echo."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            text = getpass.getpass(prompt)
        except getpass.GetPassWarning:
            raise OperatorError(
                "there is no terminal to ask for the password",
                remedy="give it on standard input or in a file; see --help",
            ) from None
        except EOFError:
            raise OperatorError("no password was given") from None
    return _checked(text, "the password")


def prompt_for_new_password(prompt: str, confirmation: str) -> Secret:
    """Ask on the terminal twice, without echo, and compare."""
    password = prompt_for_password(prompt)
    if prompt_for_password(confirmation) != password:
        raise OperatorError("the two passwords differ", remedy="run the command again")
    return password


def password_from_stdin() -> Secret:
    """Return the first line of standard input."""
    return _first_line(sys.stdin.buffer.readline(LONGEST_PASSWORD + 2), "standard input")


def password_from_file(name: str) -> Secret:
    """Return the first line of a file that nobody but its owner may read; `-` is standard input."""
    if name == STANDARD_INPUT:
        return password_from_stdin()
    path = Path(name)
    try:
        with path.open("rb") as stream:
            _require_private(path, os.fstat(stream.fileno()))
            return _first_line(stream.readline(LONGEST_PASSWORD + 2), f"the file {path}")
    except OSError as error:
        raise OperatorError(
            f"the password file cannot be read: {error.strerror}", file=path
        ) from None


def _require_private(path: Path, status: os.stat_result) -> None:
    if stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise OperatorError(
            "others than the owner have access to the password file",
            remedy=f"chmod 600 {path}, and think of the password as known",
            file=path,
        )
    if status.st_uid not in {os.geteuid(), 0}:
        raise OperatorError(
            "the password file belongs to somebody else",
            remedy="use a file of your own",
            file=path,
        )


def _first_line(line: bytes, source: str) -> Secret:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise OperatorError(f"{source} is not UTF-8 text") from None
    return _checked(text.removesuffix("\n").removesuffix("\r"), source)


def _checked(text: str, source: str) -> Secret:
    if not text:
        raise OperatorError(f"{source} holds no password", remedy="an empty password is not taken")
    if len(text.encode(errors="surrogateescape")) > LONGEST_PASSWORD:
        raise OperatorError(f"{source} holds more than {LONGEST_PASSWORD} octets")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise OperatorError(f"{source} holds control characters, which no client can send")
    return Secret(text)
