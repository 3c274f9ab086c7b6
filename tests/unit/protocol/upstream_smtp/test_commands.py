"""Commands made anew, and data that ends where we end it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import UpstreamMailError
from mailfront.interfaces.mail_relay import RelayedMail
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.protocol.smtp.data_reader import DataReader
from mailfront.protocol.upstream_smtp.commands import (
    TRACE_ALLOWANCE,
    DataStuffing,
    chunk,
    mail_command,
    recipient_command,
)
from mailfront.protocol.upstream_smtp.opening import Capabilities

NOTHING = Capabilities()
ALL = Capabilities(size=True, eight_bit=True, utf8=True, auth=True, dsn=True, require_tls=True)


def test_mail_has_the_parameters_that_are_offered() -> None:
    options = MailOptions(
        eight_bit=True, utf8=True, require_tls=True, return_content="HDRS", envelope_id="a+2Bb"
    )
    mail = RelayedMail("alice@example.test", 1000, options)
    assert mail_command(mail, ALL, "al+ice@example.test") == (
        b"MAIL FROM:<alice@example.test> SIZE=%d BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS "
        b"ENVID=a+2Bb AUTH=al+2Bice@example.test\r\n" % (1000 + TRACE_ALLOWANCE)
    )
    assert mail_command(RelayedMail("", 1000), NOTHING, "alice") == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    "options",
    [
        MailOptions(eight_bit=True),
        MailOptions(utf8=True),
        MailOptions(require_tls=True),
        MailOptions(return_content="FULL"),
        MailOptions(envelope_id="x"),
    ],
)
def test_mail_that_needs_what_is_not_offered_does_not_go(options: MailOptions) -> None:
    with pytest.raises(UpstreamMailError):
        mail_command(RelayedMail("a@b.test", options=options), NOTHING)


@pytest.mark.parametrize(
    "options", [RecipientOptions(frozenset({"NEVER"})), RecipientOptions(original="rfc822;x")]
)
def test_a_recipient_of_whom_more_is_said_than_is_offered_does_not_go(
    options: RecipientOptions,
) -> None:
    with pytest.raises(UpstreamMailError):
        recipient_command("a@b.test", NOTHING, options)


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x7f"])
def test_an_address_never_becomes_two_commands(character: str) -> None:
    address = f"a{character}b@example.test"
    with pytest.raises(UpstreamMailError):
        recipient_command(address, ALL)
    with pytest.raises(UpstreamMailError):
        mail_command(RelayedMail(address), ALL)


def test_a_recipient_is_named() -> None:
    assert recipient_command('"a b"@example.test', NOTHING) == b'RCPT TO:<"a b"@example.test>\r\n'
    assert recipient_command("ü@example.test", NOTHING) == "RCPT TO:<ü@example.test>\r\n".encode()


def test_a_recipient_is_named_with_what_was_said_of_it() -> None:
    options = RecipientOptions(frozenset({"SUCCESS", "DELAY"}), "rfc822;a+2Bb@x")
    assert recipient_command("a@b.test", ALL, options) == (
        b"RCPT TO:<a@b.test> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;a+2Bb@x\r\n"
    )


@given(
    st.lists(st.sampled_from([b".", b"..", b"a", b"", b".\x80", b"text"]), max_size=12),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_a_reader_gets_the_message_back_and_nothing_behind_it(
    lines: list[bytes], cuts: list[int]
) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    stuffing = DataStuffing()
    places = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    pieces = [message[one:two] for one, two in pairwise(places)]
    sent = b"".join(stuffing.stuff(piece) for piece in pieces) + stuffing.end()
    reader = DataReader()
    assert reader.feed(sent) == message
    assert reader.finished
    assert reader.leftover == b""


def test_a_chunk_says_how_long_it_is() -> None:
    assert chunk(b".\r\n") == b"BDAT 3\r\n.\r\n"
    assert chunk(b"", last=True) == b"BDAT 0 LAST\r\n"


def test_a_last_line_without_its_end_gets_one() -> None:
    stuffing = DataStuffing()
    assert stuffing.stuff(b"x") + stuffing.end() == b"x\r\n.\r\n"
