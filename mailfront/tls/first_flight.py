"""What a client sends first where TLS begins, judged before OpenSSL is involved.

Octets in; out comes that more must come, that a handshake can begin, or a refusal. Nothing here
costs more than a few microseconds, so whoever sends no whole ClientHello costs no cryptography and
no TLS object.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.errors import ClientHelloError
from mailfront.tls.alert import Alert, alert_record
from mailfront.tls.alpn import is_foreign
from mailfront.tls.client_hello import (
    ClientHello,
    ClientHelloReader,
    parse_client_hello,
    requested_name,
    whole_in_one_record,
)
from mailfront.tls.failure import FOREIGN_PROTOCOL, clear_text_reason, is_record


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no handshake begins, in the words of `tls.failure`, and the record that tells the client
    (empty for one that does not speak TLS)."""

    reason: str
    alert: bytes = b""


_FOREIGN = Refusal(FOREIGN_PROTOCOL, alert_record(Alert.NO_APPLICATION_PROTOCOL))
_OTHER_TLS = Refusal("protocol version", alert_record(Alert.PROTOCOL_VERSION))


class FirstFlight:
    """Collects what a client sends until its handshake can begin; `complete` says that it can."""

    __slots__ = ("_accepted", "_message", "_reader", "_whole", "complete")

    def __init__(self, accepted: frozenset[bytes]) -> None:
        """`accepted` are the ALPN names of the service; if there are none, all are served."""
        self._accepted = accepted
        self._reader: ClientHelloReader | None = None
        self._whole = b""
        self._message = b""
        self.complete = False

    def take(self, data: bytes) -> Refusal | None:
        """Take octets, at least one. What comes after completion is kept for OpenSSL too."""
        if self.complete:
            self._whole += data
            return None
        reader = self._reader
        message = whole_in_one_record(data) if reader is None else None
        if message is None:
            if reader is None:
                reader = self._reader = ClientHelloReader()
            try:
                message = reader.feed(data)
            except ClientHelloError:
                return self._unreadable(reader.received)
            if message is None:
                return None
            data = reader.received
        self._whole = data
        self._message = message
        if self._accepted and is_foreign(message, self._accepted):
            return _FOREIGN
        self.complete = True
        return None

    @property
    def received(self) -> bytes:
        """Everything so far; once complete, what OpenSSL is to be given."""
        return self._whole or (self._reader.received if self._reader is not None else b"")

    @property
    def server_name(self) -> str:
        """The host name that the client asks for; empty if it asks for none."""
        return requested_name(self._message) if self._message else ""

    def _unreadable(self, received: bytes) -> Refusal | None:
        """TLS that is malformed is OpenSSL's to refuse, with the alert that fits."""
        if not is_record(received[0]):
            return Refusal(clear_text_reason(received))
        if received[0] < 0x80 and received[1:2] not in (b"", b"\x03"):
            return _OTHER_TLS
        self._whole = received
        self.complete = True
        return None

    @property
    def hello(self) -> ClientHello | None:
        """The ClientHello, if one is there that can be read."""
        try:
            return parse_client_hello(self._message) if self._message else None
        except ClientHelloError:
            return None
