"""mailfront itself, over a server root of its own as `mailfront init --demo` makes it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.peers.imap_stub import ImapStub
from bench.peers.peer import MissingPeerError
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer, make_server_root, run_command

_OPTIONS = {
    "service.connectionsperaddress": "0",
    "service.imap.maxsessions": "20000",
    "service.maxconnections": "20000",
    "service.handshakesperminute": "0",
    "service.maxhandshakesperaddress": "0",
}
ADMINISTRATOR_PASSWORD = "of the bench"


class Mailfront:
    """A running mailfront; `seconds_to_start` is the time from the command to `ready`.

    With a `stub` its IMAP users are there, with a `certificate` (PEM, key and certificate) it
    presents that, with a `client_authority` it asks for certificates of that CA. `checkout` is
    another checkout to run instead of this one.
    """

    def __init__(
        self,
        directory: Path,
        options: Mapping[str, str] | None = None,
        *,
        stub: ImapStub | None = None,
        certificate: Path | None = None,
        client_authority: Path | None = None,
        checkout: Path | None = None,
        name: str = "mailfront",
    ) -> None:
        self.name = name
        root = directory / "mailfront"
        chosen = {**_OPTIONS, **(options or {})}
        with _running(checkout):
            make_server_root(root)
            home = ("--home", str(root))
            if certificate is not None:
                _succeed("import-cert", *home, "--key", str(certificate), "bench", str(certificate))
                chosen["local.imap.sslnicknames"] = "bench"
            if stub is not None:
                chosen["service.imap.upstream"] = f"imap://{LOOPBACK}:{stub.port}"
            if client_authority is not None:
                trust = ("-C", "--trust", "client", "clients", str(client_authority))
                _succeed("add-cert", *home, *trust)
                secret = root / "config" / "proxyadmin.password"
                secret.touch(0o600)
                secret.write_text(ADMINISTRATOR_PASSWORD)
                chosen["local.service.proxy.admin"] = "front"
            self._server = MailServer(root, chosen)
            begun = time.monotonic()
            self._server.start()
        self.seconds_to_start = time.monotonic() - begun
        self.pid = self._server.pid
        self.imaps_port = self._server.ports["imaps"]
        self.smtp_port = self._server.ports["smtp"]
        self.user = ALICE
        self.password = self._server.password(ALICE)

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._server.log

    def stop(self) -> None:
        """End the server."""
        self._server.stop()


@contextmanager
def _running(checkout: Path | None) -> Iterator[None]:
    """Programs started meanwhile are those of `checkout`."""
    if checkout is None:
        yield
        return
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(checkout), before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _succeed(*arguments: str) -> None:
    done = run_command("msgcert", *arguments)
    if done.returncode:
        raise MissingPeerError(done.stderr)
