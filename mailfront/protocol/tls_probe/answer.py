"""The server's first answer to a ClientHello: what it chose, or the alert with which it refused.

Takes octets as they arrive; `Answer.is_complete` tells when nothing more in clear will follow: at
an alert, at TLS 1.3's ServerHello, else at ServerHelloDone. RFC 8446 section 4.1.3, RFC 5246
section 7.4, RFC 8422 section 5.4. Bounded; raises `TlsAnswerError` for what is no TLS.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailfront.errors import TlsAnswerError
from mailfront.protocol.tls_probe.code_points import SUITES_12, TLS12, TLS13

LONGEST_ANSWER = 256 * 1024
LONGEST_RECORD = 16384 + 256
MOST_CERTIFICATES = 20

_ALERT, _HANDSHAKE, _APPLICATION_DATA, _CHANGE_CIPHER_SPEC = 21, 22, 23, 20
_SERVER_HELLO, _ENCRYPTED_EXTENSIONS, _CERTIFICATE, _SERVER_KEY_EXCHANGE = 2, 8, 11, 12
_SERVER_HELLO_DONE, _CERTIFICATE_VERIFY, _FINISHED = 14, 15, 20
_ALPN, _VERSIONS, _KEY_SHARE = 16, 43, 51
_NAMED_CURVE = 3
# The "random" that marks a HelloRetryRequest (RFC 8446 section 4.1.3).
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class Reader:
    """Numbers and vectors from octets; raises `TlsAnswerError` at their end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next `count` octets."""
        if count > len(self):
            raise TlsAnswerError("a TLS message ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, octets: int) -> int:
        """The next number of so many octets."""
        return int.from_bytes(self.take(octets))

    def vector(self, length_octets: int) -> bytes:
        """The content of the next vector."""
        return self.take(self.number(length_octets))


class Answer:
    """What the server chose. Zero, empty or None where it did not say.

    `alert` is the number of a fatal alert; `group` that of TLS 1.3, or the named curve of TLS 1.2;
    `prime_bits` the size of a finite field; `chain` certificates in DER as presented; `encrypted`
    the records behind a TLS 1.3 ServerHello (header and payload), for who can decrypt them.
    """

    def __init__(self) -> None:
        self.version = 0
        self.suite = 0
        self.compression = 0
        self.group = 0
        self.prime_bits = 0
        self.signature_scheme = 0
        self.key_share = b""
        self.chain: tuple[bytes, ...] = ()
        self.extensions: frozenset[int] = frozenset()
        self.alpn = ""
        self.alert: int | None = None
        self.is_retry = False
        self.is_complete = False
        self.is_finished = False
        self.server_hello = b""
        self.encrypted: list[tuple[bytes, bytes]] = []
        self._received = bytearray()
        self._handshake = bytearray()
        self._total = 0

    @property
    def is_accepted(self) -> bool:
        """Whether the server chose something."""
        return bool(self.suite)

    def feed(self, data: bytes) -> None:
        """Take received octets."""
        self._total += len(data)
        if self._total > LONGEST_ANSWER:
            raise TlsAnswerError("an answer that is too long")
        self._received += data
        for header, payload in self._records():
            kind = header[0]
            if kind == _ALERT and not self.encrypted and len(payload) == 2:
                self.alert, self.is_complete = payload[1], True
            elif kind == _HANDSHAKE and not self.is_complete:
                self.take_handshake(payload)
            elif kind == _APPLICATION_DATA and self.version == TLS13:
                self.encrypted.append((header, payload))
            elif kind != _CHANGE_CIPHER_SPEC and not self.is_complete:
                raise TlsAnswerError("a TLS record of an unexpected kind")

    def take_handshake(self, content: bytes) -> None:
        """Take octets of the handshake protocol; those of TLS 1.3 after decryption."""
        self._handshake += content
        while len(self._handshake) >= 4:
            length = int.from_bytes(self._handshake[1:4])
            if length > LONGEST_ANSWER:
                raise TlsAnswerError("a handshake message that is too long")
            if len(self._handshake) < 4 + length:
                return
            message = bytes(self._handshake[: 4 + length])
            del self._handshake[: 4 + length]
            self._take_message(message)

    def _records(self) -> Iterator[tuple[bytes, bytes]]:
        while len(self._received) >= 5:
            header = bytes(self._received[:5])
            length = int.from_bytes(header[3:])
            if header[0] not in (20, 21, 22, 23) or header[1] != 3 or length > LONGEST_RECORD:
                raise TlsAnswerError("the answer is not TLS")
            if len(self._received) < 5 + length:
                return
            payload = bytes(self._received[5 : 5 + length])
            del self._received[: 5 + length]
            yield header, payload

    def _take_message(self, message: bytes) -> None:
        kind, body = message[0], Reader(message[4:])
        if kind == _SERVER_HELLO:
            self._server_hello(message, body)
        elif not self.is_accepted:
            raise TlsAnswerError("a handshake message before the ServerHello")
        elif kind == _ENCRYPTED_EXTENSIONS:
            self._read_extensions(body.vector(2))
        elif kind == _CERTIFICATE:
            self._certificate(body)
        elif kind == _SERVER_KEY_EXCHANGE:
            self._key_exchange(body)
        elif kind == _CERTIFICATE_VERIFY:
            self.signature_scheme = body.number(2)
        elif kind == _SERVER_HELLO_DONE:
            self.is_complete = True
        elif kind == _FINISHED:
            self.is_finished = True

    def _server_hello(self, message: bytes, body: Reader) -> None:
        if self.is_accepted:
            raise TlsAnswerError("a second ServerHello")
        self.version = body.number(2)
        self.is_retry = body.take(32) == RETRY_RANDOM
        body.vector(1)
        self.suite = body.number(2)
        self.compression = body.number(1)
        self.server_hello = message
        if len(body):
            self._read_extensions(body.vector(2))
        # In TLS 1.3 all that follows is encrypted.
        self.is_complete = self.version == TLS13

    def _read_extensions(self, content: bytes) -> None:
        reader = Reader(content)
        found = set(self.extensions)
        while len(reader):
            number, value = reader.number(2), Reader(reader.vector(2))
            found.add(number)
            if number == _VERSIONS:
                self.version = value.number(2)
            elif number == _KEY_SHARE:
                self.group = value.number(2)
                self.key_share = b"" if self.is_retry else value.vector(2)
            elif number == _ALPN:
                names = Reader(value.vector(2))
                self.alpn = names.vector(1).decode("ascii", "backslashreplace")
        self.extensions = frozenset(found)

    def _certificate(self, body: Reader) -> None:
        if self.version == TLS13:
            body.vector(1)
        certificates, chain = Reader(body.vector(3)), []
        while len(certificates):
            chain.append(certificates.vector(3))
            if self.version == TLS13:
                certificates.vector(2)
            if len(chain) > MOST_CERTIFICATES:
                raise TlsAnswerError(f"more than {MOST_CERTIFICATES} certificates")
        self.chain = tuple(chain)

    def _key_exchange(self, body: Reader) -> None:
        """ServerKeyExchange of ECDHE (a named curve first) or DHE (a prime first)."""
        if "_ECDH" in SUITES_12.get(self.suite, ""):
            if body.number(1) != _NAMED_CURVE:
                raise TlsAnswerError("a curve without a name (RFC 8422 section 5.4)")
            self.group = body.number(2)
            body.vector(1)
        else:
            self.prime_bits = int.from_bytes(body.vector(2)).bit_length()
            body.vector(2)
            body.vector(2)
        if self.version == TLS12 and len(body) >= 2:
            self.signature_scheme = body.number(2)
