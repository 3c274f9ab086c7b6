"""Mail clients on a machine of their own: each keeps an IMAP session, and comes back when it ends.

`python -m tests.multi_machine.clients FILE` reads who logs in where; then each line on standard
input is answered by one of JSON: `start` lets them begin, `states` tells of every client, and
`probe A B` whether a TLS session begun at address A is resumed at B. A client that loses its
session goes to the next front end at once, as one does that has several addresses for a name, and
offers the TLS session that it has.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

POLL_SECONDS = 0.1
_AGAIN_SECONDS = 0.05
_PATIENCE = 15.0


@dataclass
class State:
    """One client: where it is, and what it has seen. Times are the machine's monotonic clock."""

    user: str
    front: str = ""
    working: bool = False
    since: float = 0.0
    resumed: bool = False
    logins: int = 0
    refused_logins: int = 0
    unreachable: int = 0
    wrong_mailbox: int = 0
    problem: str = ""


class Client(threading.Thread):
    """One client of `user`, whose mailbox holds one message with the subject `expected`."""

    def __init__(self, user: str, password: str, expected: str, fronts: list[str]) -> None:
        super().__init__(daemon=True)
        self.state = State(user)
        self._password = password
        self._expected = expected
        self._fronts = fronts
        self._context = client_context()
        self._session: ssl.SSLSession | None = None

    def run(self) -> None:
        """Be logged in, for ever."""
        turn = 0
        while True:
            self.state.front = self._fronts[turn % len(self._fronts)]
            try:
                self._stay()
            except (OSError, EOFError) as failure:
                if not self.state.working:
                    self.state.unreachable += 1
                self.state.problem = f"{type(failure).__name__}: {failure}"
                turn += 1
            self.state.working = False
            time.sleep(_AGAIN_SECONDS)

    def _stay(self) -> None:
        with socket.create_connection((self.state.front, 993), timeout=_PATIENCE) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._context.wrap_socket(plain, session=self._session) as tls:
                self._talk(tls, tls.makefile("rb"))

    def _talk(self, tls: ssl.SSLSocket, lines: BinaryIO) -> None:
        def ask(command: str) -> list[bytes]:
            tls.sendall(f"a {command}\r\n".encode())
            answer: list[bytes] = []
            while not answer or not answer[-1].startswith(b"a "):
                line = lines.readline()
                if not line:
                    raise EOFError("the connection ended")
                answer.append(line)
            return answer

        if not lines.readline():
            raise EOFError("the connection ended before the greeting")
        if not ask(f'LOGIN {self.state.user} "{self._password}"')[-1].startswith(b"a OK"):
            self.state.refused_logins += 1
            return
        self.state.logins += 1
        ask("SELECT INBOX")
        if self._expected.encode() not in b"".join(ask("FETCH 1 (BODY.PEEK[HEADER])")):
            self.state.wrong_mailbox += 1
        if self._session is None:
            # OpenSSL forgets the session of a connection that breaks off, which the next one
            # will: so the first ends well, and all later ones offer its session.
            ask("LOGOUT")
            self._session = tls.session
            return
        self.state.resumed = bool(tls.session_reused)
        self.state.since = time.monotonic()
        self.state.working = True
        while ask("NOOP")[-1].startswith(b"a OK"):
            time.sleep(POLL_SECONDS)


def client_context() -> ssl.SSLContext:
    """A context that takes the self-signed certificates of the front ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_resumed(first: str, second: str) -> bool:
    """Whether a session begun at one front end is resumed at the other."""
    context, session, reused = client_context(), None, False
    for address in (first, second):
        with (
            socket.create_connection((address, 993), timeout=_PATIENCE) as plain,
            context.wrap_socket(plain, session=session) as tls,
            tls.makefile("rb") as lines,
        ):
            tls.sendall(b"a LOGOUT\r\n")
            while lines.readline():
                pass
            session, reused = tls.session, bool(tls.session_reused)
    return reused


def main() -> None:
    """Do what is said on standard input, line by line."""
    told = json.loads(Path(sys.argv[1]).read_text())
    clients = [Client(**each) for each in told]
    for line in sys.stdin:
        answer: object = True
        match line.split():
            case ["start"]:
                for client in clients:
                    client.start()
            case ["probe", first, second]:
                answer = is_resumed(first, second)
            case _:
                answer = [asdict(client.state) for client in clients]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
