"""One connection's TLS without a socket: records in, octets out, and the reverse.

An `ssl.SSLObject` between two memory BIOs, of which the outgoing one is ours: whatever OpenSSL
wants to say, alerts included, is there to be sent. No input or output, no loop.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

from mailfront.tls.describe import MailSslObject
from mailfront.tls.failure import failure_reason
from mailfront.tls.server_flight import negotiated_group

# OpenSSL decrypts one record per call, and none holds more (RFC 8446 section 5.1). Room for more
# costs time: allocated, given back and perhaps unmapped at each call.
_READ_SIZE = 16 * 1024
PEER_CLOSED_TLS = "peer closed TLS"


class TlsRecords:
    """One side, the server's unless `server_name` is given. Records from the network go into
    `incoming`, those in `outgoing` are to be sent; `tls.write` encrypts (`ssl.SSLError` if it
    cannot). `ended` is empty until input has ended: then `PEER_CLOSED_TLS`, or why it cannot be
    read."""

    __slots__ = ("_ask", "ended", "incoming", "outgoing", "tls")

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
        ask: Callable[[ssl.SSLObject], None] | None = None,
    ) -> None:
        """`server_name` is what the certificate must be for; `session` is one to resume; `ask` is
        called before the handshake and may raise `ssl.SSLError`."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing,
            server_side=server_name is None, server_hostname=server_name, session=session,
        )  # fmt: skip
        self.ended = ""
        self._ask = ask

    def handshake(self) -> bool:
        """Go on with the handshake; return whether it is finished. Raises `ssl.SSLError`; the
        alert is then in `outgoing`."""
        if self._ask is not None:
            ask, self._ask = self._ask, None
            ask(self.tls)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._note_group()
            return False
        return True

    @property
    def busy(self) -> bool:
        """Whether a step of the handshake is under way elsewhere (`tls.token_handshakes`)."""
        return False

    @property
    def at_token(self) -> bool:
        """Whether that step is not only to be taken but has begun."""
        return False

    def abandon(self) -> None:
        """Nobody waits for the handshake any more."""

    def _note_group(self) -> None:
        tls = self.tls
        if not isinstance(tls, MailSslObject) or tls.group_in_flight or not self.outgoing.pending:
            return
        flight = self.outgoing.read()
        self.outgoing.write(flight)
        tls.group_in_flight = negotiated_group(flight) or ""

    def decrypt(self) -> bytes:
        """Everything that can be decrypted now. Sets `ended`."""
        incoming, tls = self.incoming, self.tls
        received: list[bytes] = []
        try:
            while data := tls.read(_READ_SIZE):
                received.append(data)
                if not incoming.pending and not tls.pending():
                    break
            else:
                self.ended = PEER_CLOSED_TLS
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        except ssl.SSLZeroReturnError:
            self.ended = PEER_CLOSED_TLS
        except ssl.SSLError as failure:
            self.ended = f"TLS: {failure_reason(failure)}"
        return received[0] if len(received) == 1 else b"".join(received)

    def say_close_notify(self) -> None:
        """Put our close_notify into `outgoing`."""
        # Raised for the peer's close_notify that has not come: RFC 8446 section 6.1 does not
        # make us wait for it.
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
