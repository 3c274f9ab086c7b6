"""A server of another domain in a thread: takes mail by SMTP and remembers it, or does what a test
says of it.

It is kept in this process, so that it outlives the server under test when that is killed.
"""

from __future__ import annotations

import re
import socketserver
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK

_SUBJECT = re.compile(rb"^Subject: (.*?)\r?$", re.MULTILINE | re.IGNORECASE)


@dataclass
class Taken:
    """One message that was answered with 250."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def subject(self) -> str:
        found = _SUBJECT.search(self.content)
        return found[1].decode() if found else ""


def takes_all(_recipient: str) -> str:
    return "250 2.1.5 yes"


class _Session(socketserver.StreamRequestHandler):
    server: MailReceiver

    def handle(self) -> None:
        try:
            self._converse()
        except (ConnectionError, ValueError):
            return

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _converse(self) -> None:
        self.server.count("connections")
        self._say("220 there.example ESMTP")
        taken = Taken("", [], b"")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            text = line.decode().strip()
            if word == b"EHLO":
                self._say("250-there.example")
                for extension in self.server.extensions:
                    self._say(f"250-{extension}")
                self._say("250 PIPELINING")
            elif word == b"MAIL":
                taken = Taken(text.partition("<")[2].partition(">")[0], [], b"")
                self.server.commands.append(text)
                self._say("250 2.1.0 yes")
            elif word == b"RCPT":
                recipient = text.partition("<")[2].partition(">")[0]
                self.server.commands.append(text)
                answer = self.server.judge(recipient)
                if answer.startswith("2"):
                    taken.recipients.append(recipient)
                self._say(answer)
            elif word == b"DATA":
                if not taken.recipients:
                    self._say("554 5.5.1 nobody")
                    continue
                self._say("354 go on")
                content = bytearray()
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    content += line[1:] if line.startswith(b".") else line
                if not line:
                    return
                taken.content = bytes(content)
                self.server.take(taken)
                self._say("250 2.0.0 taken")
            elif word == b"QUIT":
                self._say("221 2.0.0 bye")
                return
            else:
                self._say("250 2.0.0 yes")


class MailReceiver(socketserver.ThreadingTCPServer):
    """Listens on loopback; `judge` answers RCPT."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *, extensions: tuple[str, ...] = ("8BITMIME", "SIZE 50000000")) -> None:
        super().__init__((LOOPBACK, 0), _Session)
        self.extensions = extensions
        self.judge: Callable[[str], str] = takes_all
        self.messages: list[Taken] = []
        self.commands: list[str] = []
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def take(self, message: Taken) -> None:
        with self._lock:
            self.messages.append(message)

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def subjects(self) -> Counter[str]:
        """How often each subject was taken."""
        with self._lock:
            return Counter(message.subject for message in self.messages)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self.server_close()
