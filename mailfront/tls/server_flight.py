"""Which key exchange group our side chose, read from its own first flight, which is in clear.

OpenSSL knows, but before Python 3.15 `ssl` does not tell. Takes the records that OpenSSL wants to
send after the ClientHello; a TLS 1.3 ServerHello or HelloRetryRequest names the group in key_share
(RFC 8446 section 4.2.8), an older server in ServerKeyExchange (RFC 8422 section 5.4).
"""

from __future__ import annotations

from mailfront.protocol.tls_probe.answer import RETRY_RANDOM
from mailfront.protocol.tls_probe.code_points import GROUPS, name_of

_HANDSHAKE_RECORD, _RECORD_HEADER = 22, 5
_SERVER_HELLO, _SERVER_KEY_EXCHANGE, _MESSAGE_HEADER = 2, 12, 4
_KEY_SHARE, _NAMED_CURVE = 51, 3
# Version, random, and the length of the session id before it; then suite and compression.
_BEFORE_SESSION_ID, _BEFORE_EXTENSIONS = 2 + 32, 2 + 1


def negotiated_group(flight: bytes) -> str | None:
    """The group's registered name; None where there is none, as in a resumption of TLS 1.2."""
    try:
        return _of_server_hello(flight) or _of_key_exchange(flight)
    except IndexError:
        return None


def is_retry_request(flight: bytes) -> bool:
    """Whether it is a HelloRetryRequest, which has the form of a ServerHello (RFC 8446 section
    4.1.3)."""
    random = _RECORD_HEADER + _MESSAGE_HEADER + 2
    return flight[random : random + len(RETRY_RANDOM)] == RETRY_RANDOM


def _of_server_hello(flight: bytes) -> str | None:
    start = _RECORD_HEADER + _MESSAGE_HEADER
    if flight[0] != _HANDSHAKE_RECORD or flight[_RECORD_HEADER] != _SERVER_HELLO:
        return None
    end = start + int.from_bytes(flight[start - 3 : start])
    at = start + _BEFORE_SESSION_ID
    at += 1 + flight[at] + _BEFORE_EXTENSIONS + 2
    while at < end:
        if flight[at] << 8 | flight[at + 1] == _KEY_SHARE:
            return name_of(flight[at + 4] << 8 | flight[at + 5], GROUPS)
        at += 4 + (flight[at + 2] << 8 | flight[at + 3])
    return None


def _of_key_exchange(flight: bytes) -> str | None:
    messages, at = _handshake_messages(flight), 0
    while at + _MESSAGE_HEADER < len(messages):
        body = at + _MESSAGE_HEADER
        if messages[at] == _SERVER_KEY_EXCHANGE and messages[body] == _NAMED_CURVE:
            return name_of(messages[body + 1] << 8 | messages[body + 2], GROUPS)
        at = body + int.from_bytes(messages[at + 1 : body])
    return None


def _handshake_messages(flight: bytes) -> bytes:
    """The content of the records up to the first that is of another kind or encrypted."""
    parts, at = [], 0
    while at < len(flight) and flight[at] == _HANDSHAKE_RECORD:
        body = at + _RECORD_HEADER
        at = body + (flight[at + 3] << 8 | flight[at + 4])
        parts.append(flight[body:at])
    return b"".join(parts)
