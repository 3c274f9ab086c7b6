"""A worker's end of the connection to its supervisor.

Tells that the worker is ready, takes new ticket keys, and stops the worker when the supervisor is
gone: nobody would watch over it any more.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from mailfront.server.handover import Handover, keys_of_line
from mailfront.sharing.given_keys import GivenKeys

READY = b"ready\n"
_LONGEST_LINE = 4 * 1024 * 1024

_log = logging.getLogger("mailfront.server")


class WorkerLink:
    """Over a connected socket. `keys` are those of the supervisor."""

    def __init__(self, channel: socket.socket) -> None:
        self.keys = GivenKeys()
        self._channel = channel
        # Of a line that had not come whole when the first was taken.
        self._begun = b""

    def receive(self) -> Handover:
        """Wait for what the supervisor hands over, before there is an event loop."""
        received, piece = bytearray(), b""
        while b"\n" not in piece:
            piece = self._channel.recv(65536)
            if not piece or len(received) > _LONGEST_LINE:
                raise EOFError("the supervisor handed nothing over")
            received += piece
        # The supervisor may have told of other keys meanwhile.
        line, *others, self._begun = bytes(received).split(b"\n")
        handover = Handover.of_line(line)
        self.keys.take(handover.keys)
        for other in others:
            self.keys.take(keys_of_line(other))
        return handover

    def tell_ready(self) -> None:
        """Every port of this worker accepts."""
        self._channel.sendall(READY)

    async def follow(self, stop: asyncio.Event) -> None:
        """Take new keys until the supervisor is gone; then set `stop`."""
        reader, writer = await asyncio.open_connection(sock=self._channel, limit=_LONGEST_LINE)
        try:
            # What ends without a line's end was cut off with the supervisor.
            while (line := await reader.readline()).endswith(b"\n"):
                begun, self._begun = self._begun, b""
                self.keys.take(keys_of_line(begun + line))
        except ConnectionError:
            pass
        finally:
            writer.close()
        if not stop.is_set():
            _log.error("the supervisor is gone; this worker stops")
            stop.set()
