"""The least IMAP server behind every proxy: takes any login, has mail of any size. Not measured.

Its greeting is Dovecot's, so that proxies speak to it as to that server. `FETCH n` of anything is
answered with a literal of n KiB; everything else with OK.

Run as a program with its port: `python -m bench.peers.imap_stub PORT`.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import cast

import uvloop

from bench.load import LOOPBACK
from bench.peers.peer import end, wait_for_port
from tests.support.ports import free_ports

GREETING = (
    b"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN] "
    b"Dovecot (Debian) ready.\r\n"
)
_UNTAGGED = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ AUTH=PLAIN\r\n",
    b"ID": b"* ID NIL\r\n",
    b"LOGOUT": b"* BYE Logging out\r\n",
}
_LOGGED_IN = (
    b"[CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT THREAD=REFERENCES "
    b"MULTIAPPEND UNSELECT CHILDREN NAMESPACE UIDPLUS CONDSTORE QRESYNC ESEARCH LITERAL+ "
    b"SPECIAL-USE] Logged in"
)
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")
_KIB = 1024
_PIECE = b"x" * (64 * _KIB)


class _Session(asyncio.Protocol):
    """One connection. Literals are skipped, whatever they hold."""

    def __init__(self) -> None:
        self._received = b""
        self._skipped = 0
        self._command = b""
        self._left_to_send = 0
        self._tag = b""
        self._takes_more = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            if self._skipped:
                taken = min(self._skipped, len(self._received))
                self._received = self._received[taken:]
                self._skipped -= taken
            line, found, rest = self._received.partition(b"\r\n")
            if self._skipped or not found:
                return
            self._received = rest
            self._line(line)

    def pause_writing(self) -> None:
        self._takes_more = False

    def resume_writing(self) -> None:
        self._takes_more = True
        self._send_literal()

    def _line(self, line: bytes) -> None:
        self._command = self._command or line
        literal = _LITERAL.search(line)
        if literal is not None:
            self._skipped = int(literal[1])
            if not literal[2]:
                self._transport.write(b"+ go on\r\n")
            return
        command, self._command = self._command, b""
        tag, _, rest = command.partition(b" ")
        name, _, rest = rest.partition(b" ")
        name = name.upper()
        if name == b"FETCH":
            self._begin_literal(tag, int(rest.partition(b" ")[0]) * _KIB)
            return
        text = _LOGGED_IN if name in (b"LOGIN", b"AUTHENTICATE") else b"done"
        self._transport.write(_UNTAGGED.get(name, b"") + tag + b" OK " + text + b"\r\n")
        if name == b"LOGOUT":
            self._transport.close()

    def _begin_literal(self, tag: bytes, size: int) -> None:
        self._tag, self._left_to_send = tag, size
        self._transport.write(b"* 1 FETCH (BODY[] {%d}\r\n" % size)
        self._send_literal()

    def _send_literal(self) -> None:
        while self._left_to_send and self._takes_more:
            piece = _PIECE[: self._left_to_send]
            self._left_to_send -= len(piece)
            self._transport.write(piece)
        if self._tag and not self._left_to_send:
            tag, self._tag = self._tag, b""
            self._transport.write(b")\r\n%s OK done\r\n" % tag)


class ImapStub:
    """The stub as a process of its own."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.imap_stub", str(self.port)]
        )
        wait_for_port(self.port, self._process)

    def stop(self) -> None:
        """End it."""
        end(self._process)


async def _main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Session, LOOPBACK, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
