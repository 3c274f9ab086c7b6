"""A handshake by `openssl s_client` with a port of a server."""

from __future__ import annotations

import subprocess

from tests.support.peers import require_program
from tests.support.server import MailServer


def handshake(server: MailServer, port: str, *options: str, starttls: str = "") -> str:
    """What `openssl s_client` says of a handshake; empty if it failed."""
    upgrade = ("-starttls", starttls) if starttls else ()
    finished = subprocess.run(
        [
            str(require_program("openssl")), "s_client", "-connect",
            f"127.0.0.1:{server.ports[port]}", *upgrade, *options,
        ],
        input="", capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return finished.stdout if finished.returncode == 0 else ""
