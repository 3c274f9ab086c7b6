"""A message's file opened for reading: its bytes with CRLF line ends, whole or in parts.

What mailfront wrote is served byte for byte. Files that other programs put into the Maildir with
bare LF are served with CRLF, converted as they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Self

from mailfront.errors import BackendError

CHUNK = 64 * 1024


class MessageFile:
    """Takes an open binary file and whether its bare LFs become CRLF. Close it, or use `with`.

    An open file stays readable when the message is expunged meanwhile.
    """

    def __init__(self, stream: BinaryIO, size: int, *, bare_lf: bool) -> None:
        self.size = size
        self._stream = stream
        self._bare_lf = bare_lf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def read(self) -> bytes:
        """The whole message."""
        return b"".join(self.chunks())

    def chunks(self, offset: int = 0, count: int | None = None) -> Iterator[bytes]:
        """The octets from `offset`, at most `count` of them, in pieces of at most 64 KiB (a little
        more where line ends are converted). Raises `BackendError` when the disk fails."""
        if not self._bare_lf:
            pieces = self._pieces_from(offset)
        else:
            pieces = _skipped(_with_crlf(self._pieces_from(0)), offset)
        left = self.size if count is None else count
        for piece in pieces:
            if left <= 0:
                return
            yield piece if len(piece) <= left else piece[:left]
            left -= len(piece)

    def _pieces_from(self, offset: int) -> Iterator[bytes]:
        try:
            self._stream.seek(offset)
            while piece := self._stream.read(CHUNK):
                yield piece
        except OSError as failure:
            raise BackendError("mail storage: the message is unreadable", temporary=True) from (
                failure
            )


def _skipped(pieces: Iterator[bytes], offset: int) -> Iterator[bytes]:
    for piece in pieces:
        if offset >= len(piece):
            offset -= len(piece)
        else:
            yield piece[offset:]
            offset = 0


def _with_crlf(pieces: Iterator[bytes]) -> Iterator[bytes]:
    after_cr = False
    for piece in pieces:
        # A CR at the end of the last piece belongs to an LF at the start of this one.
        lead = b""
        rest = piece
        if after_cr and piece.startswith(b"\n"):
            lead, rest = b"\n", piece[1:]
        after_cr = piece.endswith(b"\r")
        yield lead + rest.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
