"""What this machine calls itself."""

from __future__ import annotations

import socket


def machine_name() -> str:
    """The machine's full name as far as it is known.

    A resolver without an entry for this machine answers `localhost`; the kernel knows better.
    """
    name = socket.getfqdn()
    return socket.gethostname() if name.partition(".")[0] == "localhost" else name
