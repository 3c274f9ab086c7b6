"""A secret shows itself to nobody who does not ask."""

from __future__ import annotations

import traceback

from mailfront.interfaces.secret import Secret

HUNTER = Secret("hunter2")


def test_a_secret_does_not_show() -> None:
    assert HUNTER.reveal() == "hunter2"
    for shown in (str(HUNTER), repr(HUNTER), f"{HUNTER}", "%s" % HUNTER, repr([HUNTER])):  # noqa: UP031
        assert "hunter2" not in shown


def test_a_secret_does_not_show_in_an_exception() -> None:
    text = "".join(traceback.format_exception(ValueError(HUNTER)))
    assert "hunter2" not in text


def test_secrets_are_compared_by_their_text() -> None:
    assert Secret("hünter") == Secret("hünter")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert HUNTER


def test_a_secret_has_no_attributes_to_walk_over() -> None:
    assert not hasattr(HUNTER, "__dict__")
