"""Which process holds a TCP port, as far as /proc tells."""

from __future__ import annotations

import re
from pathlib import Path

_LISTENING = "0A"
_SOCKET_LINK = re.compile(r"socket:\[(\d+)\]")


def process_on_port(port: int) -> str:
    """Name the process that listens on `port`, as `name (pid N)`; empty if it cannot be found."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process, inodes):
            try:
                name = (process / "comm").read_text().strip()
            except OSError:
                name = "a process"
            return f"{name} (pid {process.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        for descriptor in (process / "fd").iterdir():
            link = _SOCKET_LINK.match(str(descriptor.readlink()))
            if link and link[1] in inodes:
                return True
    except OSError:
        # The process ended meanwhile, or belongs to somebody else.
        return False
    return False
