"""mailfront itself, over a server root of its own as `mailfront init --demo` makes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.server import ALICE, MailServer, make_server_root

_OPTIONS = {
    "service.connectionsperaddress": "1000",
    "service.imap.maxsessions": "1000",
    "service.handshakesperminute": "0",
    "service.maxhandshakesperaddress": "0",
}


class Mailfront:
    """A running mailfront; `seconds_to_start` is the time from the command to `ready`."""

    name = "mailfront"

    def __init__(self, directory: Path, options: Mapping[str, str] | None = None) -> None:
        root = directory / "mailfront"
        make_server_root(root)
        self._server = MailServer(root, {**_OPTIONS, **(options or {})})
        begun = time.monotonic()
        self._server.start()
        self.seconds_to_start = time.monotonic() - begun
        self.pid = self._server.pid
        self.imaps_port = self._server.ports["imaps"]
        self.smtp_port = self._server.ports["smtp"]
        self.user = ALICE
        self.password = self._server.password(ALICE)

    def stop(self) -> None:
        """End the server."""
        self._server.stop()
