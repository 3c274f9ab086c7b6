"""Replies: well formed, and each with the enhanced code of its class."""

from __future__ import annotations

import re

import pytest

from mailfront.errors import SmtpRefusalError
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.reply import Reply

NAMED = {name: value for name, value in vars(reply).items() if isinstance(value, Reply)}


@pytest.mark.parametrize("name", NAMED)
def test_a_named_reply_is_one_short_line_of_ascii(name: str) -> None:
    line = NAMED[name].encode()
    assert re.fullmatch(rb"[2-5][0-5][0-9] [!-~][ -~]*\r\n", line)
    assert len(line) <= 512


@pytest.mark.parametrize("name", NAMED)
def test_the_class_of_the_enhanced_code_is_that_of_the_basic_code(name: str) -> None:
    named = NAMED[name]
    if named.code // 100 == 3:
        assert named.enhanced == ""
    else:
        assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", named.enhanced)
        assert named.enhanced[0] == str(named.code)[0]


def test_a_refusal_of_a_parser_becomes_its_reply() -> None:
    refusal = SmtpRefusalError(501, "5.1.3", "Syntax error in the address")
    assert Reply.of(refusal).encode() == b"501 5.1.3 Syntax error in the address\r\n"


def test_protocol_errors_are_told_from_refused_mail() -> None:
    assert reply.UNKNOWN_COMMAND.is_protocol_error
    assert not reply.UNKNOWN_USER.is_protocol_error
    assert not reply.AUTHENTICATION_FAILED.is_protocol_error


def test_an_internal_error_shows_a_reference_only() -> None:
    assert reply.internal_error("a1b2").encode() == b"451 4.3.0 Internal error, reference a1b2\r\n"


def test_a_queued_message_shows_its_identifier() -> None:
    assert reply.queued("0123").encode() == b"250 2.0.0 Message queued as 0123\r\n"
