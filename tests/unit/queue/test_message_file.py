"""The file of one message in the queue: what is written is read again, and damage is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.interfaces.message_sink import Envelope, MailOptions, RecipientOptions
from mailfront.queue.message_file import (
    DamagedFileError,
    QueuedMessage,
    options_of_record,
    options_record,
    read_header,
    write_message_file,
)

ENVELOPE = Envelope(
    "alice@example.test",
    ("bob@there.example", "jürgen@there.example"),
    "alice@example.test",
    options=MailOptions(utf8=True, return_content="HDRS", envelope_id="QQ+3D1"),
    recipient_options={
        "bob@there.example": RecipientOptions(
            frozenset({"SUCCESS", "DELAY"}), "rfc822;bob@there.example"
        )
    },
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "one"
    content = [b"Subject: x\r\n\r\n", b"y" * 600_000]
    assert write_message_file(path, ENVELOPE, 17.5, content) == len(b"".join(content))
    with QueuedMessage(path) as message:
        assert message.header.envelope == ENVELOPE
        assert message.header.arrived == 17.5
        assert message.size == len(b"".join(content))
        assert b"".join(message.chunks()) == b"".join(content)
        assert b"".join(message.chunks()) == b"".join(content)
        assert max(map(len, message.chunks())) <= 2**20
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_message_can_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "one"
    write_message_file(path, Envelope("", ("a@b.example",)), 0.0, [])
    with QueuedMessage(path) as message:
        assert message.size == 0
        assert list(message.chunks()) == []


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"x")
    with pytest.raises(FileExistsError):
        write_message_file(path, ENVELOPE, 0.0, [])
    assert path.read_bytes() == b"x"


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    def chunks() -> list[bytes]:
        raise OSError("no space")

    path = tmp_path / "one"
    with pytest.raises(OSError, match="no space"):
        write_message_file(path, ENVELOPE, 0.0, (chunk for _ in "1" for chunk in chunks()))
    assert not path.exists()


@given(st.data())
def test_a_changed_or_missing_octet_is_seen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damage") / "one"
    write_message_file(path, ENVELOPE, 0.0, [b"Subject: x\r\n\r\nbody\r\n"])
    octets = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(octets) - 1))
    if data.draw(st.booleans()):
        octets[place] ^= data.draw(st.integers(1, 255))
    else:
        del octets[place:]
    path.write_bytes(octets)
    with pytest.raises(DamagedFileError):
        QueuedMessage(path)


@given(st.binary(max_size=300))
def test_anything_else_is_damaged(tmp_path_factory: pytest.TempPathFactory, octets: bytes) -> None:
    path = tmp_path_factory.mktemp("anything") / "one"
    path.write_bytes(b"mailfront-queue 1 " + octets)
    with pytest.raises(DamagedFileError):
        read_header(path)


def test_options_of_a_later_version_are_left_out() -> None:
    options = MailOptions(require_tls=True)
    text = options_record(options).replace("{", '{"unheard_of":1,', 1)
    assert options_of_record(text) == options
