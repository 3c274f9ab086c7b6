"""Values computed once and kept in the index."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.backend.embedded.imap import values
from mailfront.backend.embedded.imap.values import Wanted
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Mailbox, MessageFile

HEADER = b"Subject: x\r\nTo: a@example.test\r\n\r\n"


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    store = MailStore(tmp_path)
    yield store.account("alice@example.test").open("INBOX")
    store.close()


def test_values_are_kept_and_then_served_without_the_message(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = mailbox.append([HEADER + b"body\r\n"])
    wanted = Wanted(envelope=True, structure=True, header=True)
    first = values.load(mailbox, [uid], wanted)
    monkeypatch.setattr(Mailbox, "read", None)
    monkeypatch.setattr(Mailbox, "open_message", None)
    assert values.load(mailbox, [uid], wanted) == first
    assert first[uid].header == HEADER
    assert first[uid].envelope is not None
    assert first[uid].structure is not None


def test_only_the_header_is_read_for_the_envelope(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = mailbox.append([HEADER])
    monkeypatch.setattr(Mailbox, "read", None)
    loaded = values.load(mailbox, [uid], Wanted(envelope=True))
    assert loaded[uid].envelope is not None
    assert loaded[uid].structure is None


def test_a_long_header_is_not_held_in_memory_nor_kept(mailbox: Mailbox) -> None:
    long_header = b"X: " + b"y" * values.KEPT_HEADER + b"\r\n\r\n"
    uid = mailbox.append([long_header])
    for _ in range(2):
        loaded = values.load(mailbox, [uid], Wanted(header=True))[uid]
        assert loaded.header is None
        assert loaded.envelope is not None
    assert mailbox.cached_values([uid])[uid].header is None


def test_messages_that_are_gone_are_left_out(mailbox: Mailbox) -> None:
    uid = mailbox.append([HEADER])
    assert list(values.load(mailbox, [uid, 99], Wanted(header=True))) == [uid]


def test_nothing_wanted_is_false() -> None:
    assert not Wanted()
    assert Wanted(body=True)


@pytest.mark.parametrize(
    ("message", "header"),
    [
        (HEADER + b"body", HEADER),
        (b"\r\nbody", b"\r\n"),
        (b"\nbody", b"\n"),
        (b"a: b\n\nbody", b"a: b\n\n"),
        (b"a: b\r\n", b"a: b\r\n"),
        (b"", b""),
        (b"a: " + b"x" * 65_530 + b"\r\n\r\nbody", b"a: " + b"x" * 65_530 + b"\r\n\r\n"),
        (b"a: " + b"x" * 200_000 + b"\r\n\r\nb", b"a: " + b"x" * 200_000 + b"\r\n\r\n"),
    ],
)
def test_the_header_ends_with_its_blank_line(message: bytes, header: bytes) -> None:
    with MessageFile(io.BytesIO(message), len(message), bare_lf=False) as opened:
        assert values.read_header(opened) == header
