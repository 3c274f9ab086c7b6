"""Actions are plain records; what is secret in them stays hidden."""

from __future__ import annotations

from mailfront.front.action import STOPPING, TOO_SLOW, Ask, Close, Send
from mailfront.interfaces.credentials import PasswordCredentials
from mailfront.interfaces.secret import Secret


def test_actions_are_compared_by_what_they_say() -> None:
    assert Send(b"x") == Send(b"x")
    assert Send(b"x") != Send(b"y")
    assert Close("x") == Close("x")


def test_a_password_does_not_show_in_the_action_that_carries_it() -> None:
    offered = PasswordCredentials("", "alice", Secret("hunter2"))
    assert "hunter2" not in repr(Ask(offered, "PLAIN"))


def test_the_server_ends_conversations_for_two_reasons() -> None:
    assert (TOO_SLOW.reason, STOPPING.reason) == ("login time-out", "server stopping")
