"""A message on its way in: in memory while it is small, then in an unnamed temporary file.

Implements `interfaces.message_sink.Message` and `front.smtp.incoming.IncomingMessage`. Appending
never blocks; `spool` writes to the file and belongs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.reply import Reply

_log = logging.getLogger("mailfront.smtp")

_CHUNK = 256 * 1024


class SpooledMessage:
    """The octets of one message. `prefix` (trace fields) stands before what was appended."""

    __slots__ = ("_directory", "_file", "_length", "_memory", "_spooled", "prefix")

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._memory = bytearray()
        self._spooled = 0
        self._length = 0
        self.prefix = b""

    @property
    def size(self) -> int:
        """Length in octets, the prefix included."""
        return len(self.prefix) + self._length

    @property
    def in_memory(self) -> int:
        """Octets that `spool` would write."""
        return len(self._memory)

    def append(self, data: bytes) -> None:
        """Add received octets."""
        self._memory += data
        self._length += len(data)

    async def relieve(self) -> Reply | None:
        """Part of `IncomingMessage`: `spool` in a thread."""
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.spool)
        except OSError as failure:
            _log.error("a message cannot be spooled: %s", failure)
            return reply.NO_SPACE
        return None

    def spool(self) -> None:
        """Move what is in memory to the file. Raises `OSError`, for a full disk for instance."""
        if self._file is None:
            # Unnamed: a crash leaves nothing behind, and no other user can open it.
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
        # Taken away first, so that what is appended meanwhile is not lost.
        memory, self._memory = self._memory, bytearray()
        with memoryview(memory) as view:
            written = 0
            while written < len(view):
                end = written + _CHUNK
                written += os.pwrite(
                    self._file.fileno(), view[written:end], self._spooled + written
                )
        self._spooled += written

    def head(self, limit: int) -> bytes:
        """At most `limit` octets from the beginning, without the prefix."""
        if self._file is None:
            return bytes(memoryview(self._memory)[:limit])
        head = os.pread(self._file.fileno(), min(limit, self._spooled), 0)
        return head + bytes(memoryview(self._memory)[: limit - len(head)])

    def chunks(self) -> Iterator[bytes]:
        """The message from its first octet; may be called again, also from another thread."""
        if self._file is None and len(self.prefix) + len(self._memory) <= _CHUNK:
            yield self.prefix + self._memory
            return
        if self.prefix:
            yield self.prefix
        if self._file is not None:
            for offset in range(0, self._spooled, _CHUNK):
                yield os.pread(self._file.fileno(), min(_CHUNK, self._spooled - offset), offset)
        for offset in range(0, len(self._memory), _CHUNK):
            yield bytes(memoryview(self._memory)[offset : offset + _CHUNK])

    def close(self) -> None:
        """Free memory and file."""
        self._memory = bytearray()
        self._spooled = self._length = 0
        if self._file is not None:
            self._file.close()
            self._file = None
