"""The settings of a front, and what a browser begins with."""

from __future__ import annotations

from mailfront.front.imap.state import COMMANDS as IMAP_COMMANDS
from mailfront.front.pop.state import COMMANDS as POP_COMMANDS
from mailfront.front.settings import HTTP_VERBS
from tests.support.login_dialogue import front_settings


def test_three_failed_logins_are_allowed_unless_told_otherwise() -> None:
    assert front_settings().failed_login_limit == 3


def test_no_command_of_mail_is_taken_for_a_browser() -> None:
    assert not HTTP_VERBS & (IMAP_COMMANDS.keys() | POP_COMMANDS.keys())
