from __future__ import annotations

import base64

import pytest

from mailfront.errors import UpstreamLoginError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.upstream_login.login import (
    LONGEST_LINE,
    MOST_LINES,
    Lines,
    UpstreamCredentials,
    told,
)


def test_a_plain_message_names_whom_it_is_for() -> None:
    own = UpstreamCredentials("alice@example.test", Secret("pässword"))
    assert base64.b64decode(own.plain_message()) == b"\0alice@example.test\0p\xc3\xa4ssword"
    behalf = UpstreamCredentials("admin", Secret("s"), "alice@example.test")
    assert base64.b64decode(behalf.plain_message()) == b"alice@example.test\0admin\0s"


def test_credentials_do_not_show_the_password() -> None:
    assert "s3cret" not in repr(UpstreamCredentials("alice", Secret("s3cret")))


def test_lines_are_bounded_in_length_and_number() -> None:
    lines = Lines()
    lines.feed(b"x" * (LONGEST_LINE + 2))
    with pytest.raises(UpstreamLoginError, match="line of more than"):
        lines.next()
    lines = Lines()
    lines.feed(b"* OK\r\n" * (MOST_LINES + 1))
    for _ in range(MOST_LINES):
        assert lines.next() == b"* OK"
    with pytest.raises(UpstreamLoginError, match="more than 100 lines"):
        lines.next()


def test_what_follows_a_line_is_kept() -> None:
    lines = Lines()
    lines.feed(b"one\r\ntwo")
    assert lines.next() == b"one"
    assert lines.next() is None
    assert lines.rest() == b"two"


def test_a_line_for_the_log_is_short_and_printable() -> None:
    assert told(b"NO \x1b[31m\xff" + b"x" * 500).startswith("NO ?[31m")
    assert len(told(b"x" * 500)) == 200
