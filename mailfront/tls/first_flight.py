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
from mailfront.tls.client_hello import ClientHello, ClientHelloReader, parse_client_hello
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
    """Collects what a client sends until its handshake can begin. `complete` says that it can;
    `received` is then what OpenSSL is to be given."""

    __slots__ = ("_accepted", "_later", "_message", "_reader", "complete")

    def __init__(self, accepted: frozenset[bytes]) -> None:
        """`accepted` are the ALPN names of the service; if there are none, all are served."""
        self._accepted = accepted
        self._reader = ClientHelloReader()
        self._message = b""
        self._later = b""
        self.complete = False

    def take(self, data: bytes) -> Refusal | None:
        """Take octets, at least one. What comes after completion is kept for OpenSSL too."""
        if self.complete:
            self._later += data
            return None
        try:
            message = self._reader.feed(data)
        except ClientHelloError:
            return self._unreadable(self._reader.received)
        if message is None:
            return None
        if self._accepted and is_foreign(message, self._accepted):
            self._message = message
            return _FOREIGN
        self._message = message
        self.complete = True
        return None

    def _unreadable(self, received: bytes) -> Refusal | None:
        """TLS that is malformed is OpenSSL's to refuse, with the alert that fits."""
        if not is_record(received[0]):
            return Refusal(clear_text_reason(received))
        if received[0] < 0x80 and received[1:2] not in (b"", b"\x03"):
            return _OTHER_TLS
        self.complete = True
        return None

    @property
    def received(self) -> bytes:
        """Everything that was taken."""
        return self._reader.received + self._later

    @property
    def hello(self) -> ClientHello | None:
        """The ClientHello, if one is there that can be read."""
        try:
            return parse_client_hello(self._message) if self._message else None
        except ClientHelloError:
            return None
