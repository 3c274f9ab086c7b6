"""One structured line per connection, written when it ends (never while it lives)."""

from __future__ import annotations

import logging
import time

from mailfront.interfaces.peer import Peer, TlsFacts

_log = logging.getLogger("mailfront.connection")


class ConnectionRecord:
    """Facts about one connection, gathered as they become known.

    `reason` says why the connection ended; the first one given stays, because the first party to
    end it knows the cause and everybody after it sees only consequences.
    """

    __slots__ = (
        "bytes_in", "bytes_out", "method", "peer", "reason", "service", "started", "tls", "user",
    )  # fmt: skip

    def __init__(self, service: str, peer: Peer) -> None:
        self.service = service
        self.peer = peer
        self.started = time.monotonic()
        self.tls: TlsFacts | None = None
        self.user = ""
        self.method = ""
        self.bytes_in = 0
        self.bytes_out = 0
        self.reason = ""

    def end(self, reason: str) -> None:
        """Note why the connection ends, unless that is already known."""
        if not self.reason:
            self.reason = reason

    def write(self) -> None:
        """Write the line."""
        if _log.isEnabledFor(logging.INFO):
            _log.info(self.line())

    def line(self) -> str:
        """The line as `name=value` pairs; values with blanks or quotes are quoted."""
        tls = self.tls
        facts: list[tuple[str, object]] = [("service", self.service), ("peer", self.peer)]
        if tls is None:
            facts.append(("tls", "none"))
        else:
            facts += [
                ("tls", tls.version), ("suite", tls.suite), ("group", tls.group or "-"),
                ("resumed", "yes" if tls.resumed else "no"), ("nickname", tls.nickname),
                ("sni", tls.server_name or "-"),
            ]  # fmt: skip
        facts += [
            ("user", self.user or "-"), ("auth", self.method or "-"), ("in", self.bytes_in),
            ("out", self.bytes_out), ("seconds", f"{time.monotonic() - self.started:.3f}"),
            ("end", self.reason or "closed"),
        ]  # fmt: skip
        return " ".join(f"{name}={quoted(str(value))}" for name, value in facts)


def quoted(value: str) -> str:
    """`value` fit for one line: control characters and quotes escaped, blanks quoted."""
    if value and value.isascii() and value.isprintable() and not any(c in ' "=' for c in value):
        return value
    escaped = "".join(
        c if c.isprintable() and c not in '"\\' else c.encode("unicode_escape").decode()
        if c not in '"\\' else "\\" + c
        for c in value
    )  # fmt: skip
    return f'"{escaped}"'
