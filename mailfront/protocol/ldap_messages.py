"""LDAP messages (RFC 4511): requests that a reading client sends, responses that it gets.

Takes values and returns the octets of a request; `MessageReader` takes octets as they come and
returns whole messages. Elements have definite lengths, as section 5.1 demands. The reader is
bounded (`MAXIMUM_MESSAGE_OCTETS`, judged before a message is collected) and total: messages, or
`LdapProtocolError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from mailfront.errors import LdapProtocolError

MAXIMUM_MESSAGE_OCTETS = 4 * 1024 * 1024
"""The largest response: one entry with certificates, or one with far too many."""

MAXIMUM_MESSAGE_ID = 2**31 - 1

_VERSION = 3
_BOOLEAN, _INTEGER, _OCTET_STRING, _ENUMERATED, _SEQUENCE, _SET = 1, 2, 4, 0x0A, 0x30, 0x31
_BIND_REQUEST, _UNBIND_REQUEST, _SEARCH_REQUEST = 0x60, 0x42, 0x63
_ABANDON_REQUEST, _EXTENDED_REQUEST = 0x50, 0x77
_SIMPLE = _REQUEST_NAME = 0x80
_BIND_RESPONSE, _SEARCH_ENTRY, _SEARCH_DONE = 0x61, 0x64, 0x65
_SEARCH_REFERENCE, _EXTENDED_RESPONSE, _INTERMEDIATE_RESPONSE = 0x73, 0x78, 0x79
_RESULTS = frozenset((_BIND_RESPONSE, _SEARCH_DONE, _EXTENDED_RESPONSE))
_STARTTLS = b"1.3.6.1.4.1.1466.20037"
_WHOLE_SUBTREE, _BASE_OBJECT, _NEVER_DEREFERENCE = 2, 0, 0
_LONGEST_LENGTH = 4


class ResultCode(IntEnum):
    """The results that this client tells apart (RFC 4511 section 4.1.9)."""

    SUCCESS = 0
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    CONFIDENTIALITY_REQUIRED = 13
    CONSTRAINT_VIOLATION = 19
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS = 50
    UNWILLING_TO_PERFORM = 53


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an operation: a result code and the server's words about it."""

    message_id: int
    code: int
    text: str

    def __str__(self) -> str:
        try:
            name = ResultCode(self.code).name.lower().replace("_", " ")
        except ValueError:
            name = "LDAP result"
        return f"{name} ({self.code})" + (f": {self.text}" if self.text else "")


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """One entry that a search found; names of attributes as the server writes them."""

    message_id: int
    name: str
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message of no interest: a reference to another server, or an intermediate response."""

    message_id: int


Response = Result | FoundEntry | Ignored


def bind_request(message_id: int, name: str, password: bytes) -> bytes:
    """Return a simple bind; an empty `name` with an empty password is anonymous."""
    return _message(
        message_id,
        element(
            _BIND_REQUEST,
            _number(_INTEGER, _VERSION) + _text(name) + element(_SIMPLE, password),
        ),
    )


def search_request(
    message_id: int,
    base: str,
    condition: bytes,
    attributes: Sequence[str],
    *,
    size_limit: int,
    time_limit: int,
    subtree: bool = True,
) -> bytes:
    """Return a search; `condition` is an encoded filter, `time_limit` in seconds."""
    scope = _WHOLE_SUBTREE if subtree else _BASE_OBJECT
    content = (
        _text(base)
        + _number(_ENUMERATED, scope)
        + _number(_ENUMERATED, _NEVER_DEREFERENCE)
        + _number(_INTEGER, size_limit)
        + _number(_INTEGER, time_limit)
        + element(_BOOLEAN, b"\0")
        + condition
        + element(_SEQUENCE, b"".join(map(_text, attributes)))
    )
    return _message(message_id, element(_SEARCH_REQUEST, content))


def starttls_request(message_id: int) -> bytes:
    """Return the extended request that begins TLS (section 4.14)."""
    return _message(message_id, element(_EXTENDED_REQUEST, element(_REQUEST_NAME, _STARTTLS)))


def abandon_request(message_id: int, abandoned: int) -> bytes:
    """Return the request to give up the operation `abandoned`; it has no response."""
    return _message(message_id, _number(_ABANDON_REQUEST, abandoned))


def unbind_request(message_id: int) -> bytes:
    """Return the farewell; it has no response."""
    return _message(message_id, element(_UNBIND_REQUEST, b""))


def element(tag: int, content: bytes) -> bytes:
    """Return an element: identifier octet, length, content (X.690 section 8.1)."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


class MessageReader:
    """Octets in, messages out."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def __len__(self) -> int:
        """How many octets wait for the rest of their message."""
        return len(self._octets)

    def feed(self, octets: bytes) -> list[Response]:
        """Take octets; return the messages that are whole now. Raises `LdapProtocolError`."""
        self._octets += octets
        responses = []
        position = 0
        while (end := self._end_of_message(position)) is not None:
            if end > len(self._octets):
                break
            responses.append(_response(bytes(self._octets[position:end])))
            position = end
        del self._octets[:position]
        return responses

    def _end_of_message(self, start: int) -> int | None:
        """Where the message at `start` ends; None while its length is not known."""
        header = self._octets[start : start + 2 + _LONGEST_LENGTH]
        if not header:
            return None
        if header[0] != _SEQUENCE:
            raise LdapProtocolError("not an LDAP message")
        if len(header) < 2:
            return None
        size = header[1] & 0x7F if header[1] & 0x80 else 0
        if size > _LONGEST_LENGTH or header[1] == 0x80:
            raise LdapProtocolError("a length that LDAP does not allow")
        if len(header) < 2 + size:
            return None
        length = int.from_bytes(header[2 : 2 + size]) if size else header[1]
        if length > MAXIMUM_MESSAGE_OCTETS:
            raise LdapProtocolError(f"a message of more than {MAXIMUM_MESSAGE_OCTETS} octets")
        return start + 2 + size + length


class _Elements:
    """The elements inside a constructed one, taken in their order."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._octets)

    def next(self) -> tuple[int, bytes]:
        """Return identifier octet and content of the next element."""
        octets, position = self._octets, self._position
        if position + 2 > len(octets):
            raise LdapProtocolError("an element is cut off")
        tag, length = octets[position], octets[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= _LONGEST_LENGTH:
                raise LdapProtocolError("a length that LDAP does not allow")
            length = int.from_bytes(octets[position : position + size])
            position += size
        end = position + length
        if end > len(octets):
            raise LdapProtocolError("an element is cut off")
        self._position = end
        return tag, octets[position:end]

    def take(self, wanted: int) -> bytes:
        """Return the content of the next element, which must be of this kind."""
        tag, content = self.next()
        if tag != wanted:
            raise LdapProtocolError("an element where another belongs")
        return content

    def all_of(self, wanted: int) -> Iterator[bytes]:
        """Return the contents of all further elements, each of this kind."""
        while self:
            yield self.take(wanted)


def _response(message: bytes) -> Response:
    fields = _Elements(_Elements(message).take(_SEQUENCE))
    identifier = fields.take(_INTEGER)
    if not 1 <= len(identifier) <= 4:
        raise LdapProtocolError("not a message identifier")
    message_id = int.from_bytes(identifier, signed=True)
    tag, content = fields.next()
    if tag in _RESULTS:
        return _result(message_id, _Elements(content))
    if tag == _SEARCH_ENTRY:
        return _entry(message_id, _Elements(content))
    if tag in (_SEARCH_REFERENCE, _INTERMEDIATE_RESPONSE):
        return Ignored(message_id)
    raise LdapProtocolError("an operation that no server responds with")


def _result(message_id: int, fields: _Elements) -> Result:
    code = fields.take(_ENUMERATED)
    if not 1 <= len(code) <= 4:
        raise LdapProtocolError("not a result code")
    fields.take(_OCTET_STRING)
    words = fields.take(_OCTET_STRING).decode("utf-8", "replace")
    text = "".join(sign if sign.isprintable() else " " for sign in words[:500]).strip()
    return Result(message_id, int.from_bytes(code, signed=True), text)


def _entry(message_id: int, fields: _Elements) -> FoundEntry:
    name = _utf8(fields.take(_OCTET_STRING))
    return FoundEntry(message_id, name, tuple(_attributes(fields.take(_SEQUENCE))))


def _attributes(content: bytes) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    for attribute in _Elements(content).all_of(_SEQUENCE):
        fields = _Elements(attribute)
        name = _utf8(fields.take(_OCTET_STRING))
        yield name, tuple(_Elements(fields.take(_SET)).all_of(_OCTET_STRING))


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise LdapProtocolError("a name that is not UTF-8") from None


def _message(message_id: int, operation: bytes) -> bytes:
    return element(_SEQUENCE, _number(_INTEGER, message_id) + operation)


def _number(tag: int, value: int) -> bytes:
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def _text(value: str) -> bytes:
    return element(_OCTET_STRING, value.encode("utf-8", "surrogatepass"))
