"""Values computed once and kept in the index."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.backend.embedded.imap import values
from mailfront.backend.embedded.imap.values import Wanted
from mailfront.protocol.mime.header import HEADER_LIMIT
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


class CountingFile(io.BytesIO):
    """Counts the octets that were read."""

    octets = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.octets += len(data)
        return data


def test_of_a_header_without_end_only_so_much_is_kept() -> None:
    message = b"a: b\r\n" * (HEADER_LIMIT // 2)
    with MessageFile(io.BytesIO(message), len(message), bare_lf=False) as opened:
        assert values.header_length(opened) == len(message)
        assert values.read_header(opened) == message[:HEADER_LIMIT]


def test_what_follows_the_header_is_not_read() -> None:
    stream = CountingFile(HEADER + b"x" * 10_000_000)
    assert values.header_length(MessageFile(stream, 10_000_000, bare_lf=False)) == len(HEADER)
    assert stream.octets < 100_000


@pytest.mark.parametrize("at", range(65_530, 65_540))
def test_a_blank_line_is_found_wherever_the_file_is_cut_into_pieces(at: int) -> None:
    message = b"x" * at + b"\r\n\r\nbody\r\n\r\n"
    with MessageFile(io.BytesIO(message), len(message), bare_lf=False) as opened:
        assert values.header_length(opened) == at + 4


def test_what_the_index_has_needs_no_file_and_the_rest_is_computed(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, new = mailbox.append([HEADER]), mailbox.append([HEADER])
    wanted = Wanted(envelope=True)
    values.compute(mailbox, [known], wanted)
    opened: list[int] = []
    real = Mailbox.open_message

    def counted(mailbox: Mailbox, uid: int) -> MessageFile:
        opened.append(uid)
        return real(mailbox, uid)

    monkeypatch.setattr(Mailbox, "open_message", counted)
    assert list(values.kept(mailbox, [known, new], wanted)) == [known]
    assert list(values.load(mailbox, [known, new], wanted)) == [known, new]
    assert opened == [new]
