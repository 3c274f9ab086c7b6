"""What leaves on a connection, in clear or as TLS records, and how the connection ends.

`tls.transport` builds on it. Because the outgoing BIO is ours, everything written during one event
(greeting and session tickets, pipelined answers) leaves in one send.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mailfront.interfaces.peer import Peer
from mailfront.observability.connection_record import ConnectionRecord
from mailfront.tls.forwarding_transport import ForwardingTransport
from mailfront.tls.records import TlsRecords


class SendingTransport(ForwardingTransport):
    """`peer` and `record` are set once the connection is made; `_records` once it is TLS."""

    __slots__ = (
        "_established", "_in_event", "_plain_output", "_records", "peer", "record",
    )  # fmt: skip

    peer: Peer
    record: ConnectionRecord

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._records: TlsRecords | None = None
        self._plain_output: list[bytes] = []
        self._established = False
        self._in_event = False

    def close(self) -> None:
        """Say close_notify, send what is queued, close."""
        raw = self._say_farewell()
        if raw is not None:
            self._close_raw(raw)

    def close_lingering(self) -> None:
        """Close a connection whose peer may still be sending.

        Closing a socket with unread input makes the kernel send a reset, which can destroy our
        last reply on its way. So our side is shut, and input is discarded until the peer closes,
        for at most `DISCARD_SECONDS`.
        """
        raw = self._say_farewell()
        if raw is not None:
            self._discard_input(raw)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's transports answer; `ssl_object` and `sslcontext` are None in clear, and
        `peername` is the client, also behind a load balancer."""
        if name == "ssl_object":
            return self._records.tls if self._records is not None else default
        if name == "sslcontext":
            return self._records.tls.context if self._records is not None else default
        if name == "peername":
            return (self.peer.address, self.peer.port)
        return super().get_extra_info(name, default)

    # For the transport.

    def _say_farewell(self) -> asyncio.Transport | None:
        if self._closing:
            return None
        self._closing = True
        self._cancel_timer()
        if self._records is not None and self._established:
            self._records.say_close_notify()
        self._flush()
        return self._raw

    def _end_event(self) -> None:
        self._in_event = False
        self._flush()

    def _flush(self) -> None:
        raw = self._raw
        if raw is None:
            return
        if self._plain_output:
            data = b"".join(self._plain_output)
            self._plain_output.clear()
        elif self._records is not None and self._records.outgoing.pending:
            data = self._records.outgoing.read()
        else:
            return
        self.record.bytes_out += len(data)
        raw.write(data)
