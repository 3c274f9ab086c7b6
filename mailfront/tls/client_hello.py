"""The ClientHello, read before OpenSSL sees it: the protocols, name and versions a client offers.

`ClientHelloReader` takes octets as they arrive and gives the handshake message once it is whole,
however it was cut into records (RFC 8446 section 5.1); `parse_client_hello` reads it (RFC 8446
section 4.1.2, which is RFC 5246 section 7.4.1.2 with extensions). Both are bounded and total. What
they cannot read is OpenSSL's to refuse, with the alert that fits.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from mailfront.errors import ClientHelloError

# Records and their headers together. A ClientHello with post-quantum key shares has 2 KiB.
MAXIMUM_OCTETS = 32 * 1024

_RECORD_HEADER = 5
_MESSAGE_HEADER = 4
_HANDSHAKE_RECORD = 22
_MAJOR_VERSION = 3
_CLIENT_HELLO = 1
_MAXIMUM_FRAGMENT = 2**14
_SERVER_NAME = 0
_PROTOCOL_NEGOTIATION = 16
_SUPPORTED_VERSIONS = 43
_HOST_NAME = 0
# The session identifier, behind version and random.
_FIRST_VECTOR = _MESSAGE_HEADER + 2 + 32
_extension_header = struct.Struct(">HH").unpack_from


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers. `protocols` are its ALPN names (RFC 7301), empty if it has none;
    `server_name` is its SNI (RFC 6066 section 3), empty likewise; `versions` are numbers as on the
    wire (0x0303 is TLS 1.2), and without the extension the one highest version."""

    protocols: tuple[bytes, ...]
    server_name: str
    versions: tuple[int, ...]


class ClientHelloReader:
    """Collects records until the ClientHello in them is whole."""

    __slots__ = ("_message", "_position", "_received")

    def __init__(self) -> None:
        self._received = bytearray()
        self._message = bytearray()
        self._position = 0

    def feed(self, data: bytes) -> bytes | None:
        """Take octets; return the handshake message with its header, or None if more must come.

        Raises `ClientHelloError` for anything that does not begin as a ClientHello, and beyond
        `MAXIMUM_OCTETS`.
        """
        self._received += data
        while (fragment := self._next_fragment()) is not None:
            self._message += fragment
            length = self._announced_length()
            if length is not None and len(self._message) >= length:
                return bytes(self._message[:length])
        if len(self._received) > MAXIMUM_OCTETS:
            raise ClientHelloError(f"more than {MAXIMUM_OCTETS} octets without a ClientHello")
        return None

    def _announced_length(self) -> int | None:
        if self._message[0] != _CLIENT_HELLO:
            raise ClientHelloError("another message than a ClientHello")
        if len(self._message) < _MESSAGE_HEADER:
            return None
        length = _MESSAGE_HEADER + int.from_bytes(self._message[1:_MESSAGE_HEADER], "big")
        if length > MAXIMUM_OCTETS:
            raise ClientHelloError(f"a ClientHello of more than {MAXIMUM_OCTETS} octets")
        return length

    @property
    def received(self) -> bytes:
        """Everything that was fed."""
        return bytes(self._received)

    def _next_fragment(self) -> bytes | None:
        received, start = self._received, self._position
        available = len(received) - start
        if available and received[start] != _HANDSHAKE_RECORD:
            raise ClientHelloError("another record than a handshake's")
        if available > 1 and received[start + 1] != _MAJOR_VERSION:
            raise ClientHelloError("an unknown record version")
        if available < _RECORD_HEADER:
            return None
        length = received[start + 3] << 8 | received[start + 4]
        if not 0 < length <= _MAXIMUM_FRAGMENT:
            raise ClientHelloError("a record of a forbidden length")
        if available < _RECORD_HEADER + length:
            return None
        self._position = start + _RECORD_HEADER + length
        return bytes(received[start + _RECORD_HEADER : self._position])


def whole_in_one_record(data: bytes) -> bytes | None:
    """The message if `data` begins with a record that holds a whole ClientHello, else None: the
    usual case at a fraction of the cost."""
    if len(data) <= _RECORD_HEADER + _MESSAGE_HEADER or not data.startswith(b"\x16\x03"):
        return None
    end = _RECORD_HEADER + (data[3] << 8 | data[4])
    length = data[6] << 16 | data[7] << 8 | data[8]
    last = _RECORD_HEADER + _MESSAGE_HEADER + length
    if data[5] != _CLIENT_HELLO or not last <= end <= len(data):
        return None
    return data[_RECORD_HEADER:last]


# The extension's number and the first octet of its length. The length of a name of 16 letters looks
# like the number, so a letter behind it does not count; no extension in a message of
# `_SEARCHED_OCTETS` has a length that begins like a letter.
_MAYBE_PROTOCOLS = re.compile(rb"\x00\x10[^-0-9A-Za-z]", re.DOTALL)
_SEARCHED_OCTETS = ord("-") << 8


def offers_protocols(message: bytes) -> bool:
    """Whether a ClientHello may have the ALPN extension: no is certain, yes is not. Most mail
    clients have none, and this costs them a tenth of reading the message."""
    return len(message) >= _SEARCHED_OCTETS or _MAYBE_PROTOCOLS.search(message) is not None


def offered_protocols(message: bytes) -> tuple[bytes, ...]:
    """The ALPN names in a whole handshake message, header included. Raises `ClientHelloError`."""
    try:
        extension = _extension(message, _PROTOCOL_NEGOTIATION)
        return () if extension is None else _protocols(extension)
    except (IndexError, struct.error):
        raise ClientHelloError("the ClientHello ends too early") from None


def requested_name(message: bytes) -> str:
    """The host name that a whole handshake message asks for (SNI), empty if it asks for none that
    can be read."""
    try:
        extension = _extension(message, _SERVER_NAME)
        return "" if extension is None else _server_name(extension)
    except (ClientHelloError, IndexError, struct.error):
        return ""


def parse_client_hello(message: bytes) -> ClientHello:
    """Read a whole handshake message, header included. Raises `ClientHelloError`."""
    protocols = offered_protocols(message)
    try:
        name = _extension(message, _SERVER_NAME)
        versions = _extension(message, _SUPPORTED_VERSIONS)
        return ClientHello(
            protocols,
            "" if name is None else _server_name(name),
            (message[4] << 8 | message[5],) if versions is None else _versions(versions),
        )
    except (IndexError, struct.error):
        raise ClientHelloError("the ClientHello ends too early") from None


def _extension(message: bytes, wanted: int) -> bytes | None:
    """The content of an extension, None if it is not there. Beyond the end `IndexError` or
    `struct.error`."""
    size = len(message)
    if message[0] != _CLIENT_HELLO or size != _MESSAGE_HEADER + (
        message[1] << 16 | message[2] << 8 | message[3]
    ):
        raise ClientHelloError("not one ClientHello")
    position = _FIRST_VECTOR + 1 + message[_FIRST_VECTOR]
    position += 2 + (message[position] << 8 | message[position + 1])
    position += 1 + message[position]
    if position == size:
        return None
    if size != position + 2 + (message[position] << 8 | message[position + 1]):
        raise ClientHelloError("extensions of another length than announced")
    position += 2
    while position < size:
        kind, length = _extension_header(message, position)
        position += 4 + length
        if position > size:
            raise ClientHelloError("an extension beyond the end")
        if kind == wanted:
            return message[position - length : position]
    return None


def _protocols(extension: bytes) -> tuple[bytes, ...]:
    """RFC 7301 section 3.1: a list of at least one name, none of them empty."""
    if len(extension) - 2 != extension[0] << 8 | extension[1]:
        raise ClientHelloError("a list of protocols of another length than announced")
    names = []
    position = 2
    while position < len(extension):
        start = position + 1
        position = start + extension[position]
        if position == start or position > len(extension):
            raise ClientHelloError("a protocol name that is empty or cut off")
        names.append(extension[start:position])
    if not names:
        raise ClientHelloError("an empty list of protocols")
    return tuple(names)


def _server_name(extension: bytes) -> str:
    """RFC 6066 section 3. Anything but one host name is left to OpenSSL."""
    length = extension[3] << 8 | extension[4]
    if extension[2] != _HOST_NAME or length != len(extension) - 5:
        return ""
    return extension[5:].decode("ascii", "replace")


def _versions(extension: bytes) -> tuple[int, ...]:
    """RFC 8446 section 4.2.1; without the values that only keep servers tolerant (RFC 8701)."""
    if extension[0] != len(extension) - 1 or extension[0] % 2:
        raise ClientHelloError("a list of versions of another length than announced")
    numbers = (
        extension[index] << 8 | extension[index + 1] for index in range(1, len(extension), 2)
    )
    return tuple(number for number in numbers if number & 0x0F0F != 0x0A0A)
