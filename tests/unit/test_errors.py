"""What an operator's mistake looks like, and how the errors are ordered."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront import errors
from mailfront.errors import (
    BackendError,
    ConfigurationError,
    ConfigurationProblems,
    MailboxError,
    MailfrontError,
    MessageGoneError,
    OperatorError,
)

FILE = Path("/srv/mail/config/msg.conf")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OperatorError("wrong"), "wrong"),
        (OperatorError("wrong", remedy="mend it"), "wrong: mend it"),
        (OperatorError("wrong", file=FILE), f"{FILE}: wrong"),
        (OperatorError("wrong", remedy="mend it", file=FILE, line=3), f"{FILE}:3: wrong: mend it"),
        (OperatorError("wrong", line=3), "wrong"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_remedy(error: OperatorError, text: str) -> None:
    assert str(error) == text


def test_several_problems_are_told_a_line_each() -> None:
    problems = [ConfigurationError("one", file=FILE, line=1), ConfigurationError("two")]
    assert str(ConfigurationProblems(problems)) == f"{FILE}:1: one\ntwo"


def test_every_error_descends_from_the_root() -> None:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, MailfrontError)


def test_of_the_errors_of_a_mailbox_only_its_use_by_others_passes() -> None:
    assert MailboxError("x", code="INUSE").temporary
    assert not MailboxError("x", code="NONEXISTENT").temporary
    assert isinstance(MessageGoneError(7), BackendError)
    assert MessageGoneError(7).uid == 7
