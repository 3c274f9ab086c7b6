"""The local control socket: `mailfront status`, `reload` and `user kick` ask the running server.

One request line, one JSON answer line, over a Unix socket that only the server's user can open.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from mailfront.errors import OperatorError

_REQUEST_LIMIT = 1024
_ANSWER_LIMIT = 16 * 1024 * 1024
_TIMEOUT = 10.0

Answer = dict[str, object]


class ControlServer:
    """Answers requests; `commands` maps a request to what produces its answer, `about` the first
    word of one to what answers about the rest of the line."""

    def __init__(
        self,
        path: Path,
        commands: dict[str, Callable[[], Awaitable[Answer]]],
        about: dict[str, Callable[[str], Awaitable[Answer]]] | None = None,
    ) -> None:
        self._path = path
        self._commands = commands
        self._about = about or {}
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Bind the socket, mode 0600. The caller holds the server root's lock, so a socket file
        that is there is left over from a crash."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        with _short_path(self._path) as path:
            listener.bind(path)
        self._path.chmod(0o600)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._answer, sock=listener)

    async def stop(self) -> None:
        """Close the socket, and remove it unless another server has put its own there."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                request = (await reader.readline())[:_REQUEST_LIMIT].decode("utf-8", "replace")
                answer = await self._answer_to(request.strip())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            # The asking command went away or sent no line; there is nobody to tell.
            return
        finally:
            writer.close()

    async def _answer_to(self, request: str) -> Answer:
        command = self._commands.get(request)
        if command is not None:
            return await command()
        word, _, rest = request.partition(" ")
        about = self._about.get(word)
        return await about(rest) if about and rest else {"error": "unknown request"}


def ask_server(path: Path, request: str) -> Answer:
    """Send `request` to the server that owns the socket at `path`; return its answer.

    Raises `OperatorError` when no server runs there.
    """
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(_TIMEOUT)
    try:
        with channel, _short_path(path) as short:
            channel.connect(short)
            channel.sendall(request.encode() + b"\n")
            received = bytearray()
            while piece := channel.recv(65536):
                received += piece
                if len(received) > _ANSWER_LIMIT:
                    break
        answer = json.loads(received)
    except (FileNotFoundError, ConnectionRefusedError) as failure:
        raise OperatorError(
            "no server is running on this server root",
            remedy="start it: mailfront serve",
            file=path,
        ) from failure
    except PermissionError as failure:
        raise OperatorError(
            "the control socket belongs to another user",
            remedy="run this command as the user that runs the server", file=path,
        ) from failure  # fmt: skip
    except (OSError, ValueError) as failure:
        raise OperatorError(
            f"the server does not answer ({failure})", remedy="look at its log", file=path
        ) from failure
    assert isinstance(answer, dict)
    return answer


@contextlib.contextmanager
def _short_path(path: Path) -> Iterator[str]:
    """A path to the same socket that fits the 107 octets of `sun_path`, however deep it lies."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
