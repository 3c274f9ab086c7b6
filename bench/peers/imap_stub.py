"""The least IMAP server behind nginx's mail proxy: takes any login. Not part of what is measured.

Run as a program with its port: `python -m bench.peers.imap_stub PORT`.
"""

from __future__ import annotations

import asyncio
import sys

from bench.load import LOOPBACK

_UNTAGGED = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"LOGOUT": b"* BYE\r\n"}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"* OK ready\r\n")
    while line := await reader.readline():
        tag, _, command = line.strip().partition(b" ")
        name = command.partition(b" ")[0].upper()
        if name == b"LOGIN" and line.rstrip().endswith(b"}"):
            await _read_literals(reader, writer, line)
        # One write for the whole answer: two small ones would wait for each other (Nagle).
        writer.write(_UNTAGGED.get(name, b"") + tag + b" OK done\r\n")
        await writer.drain()
        if name == b"LOGOUT":
            break
    writer.close()


async def _read_literals(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes
) -> None:
    while line.rstrip().endswith(b"}"):
        size = int(line.rstrip()[line.rindex(b"{") + 1 : -1])
        writer.write(b"+ go on\r\n")
        await reader.readexactly(size)
        line = await reader.readline()


async def _main(port: int) -> None:
    server = await asyncio.start_server(_serve, LOOPBACK, port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
