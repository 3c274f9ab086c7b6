"""A ClientHello that offers just what a probe asks about.

Takes an `Offer`, gives one TLS record (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2). All that
is offered is under the caller's control, so it can ask for what the linked OpenSSL no longer has.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailfront.protocol.tls_probe.code_points import (
    GROUPS,
    SIGNATURE_SCHEMES,
    SSL30,
    SUITES_12,
    SUITES_13,
    TLS10,
    TLS12,
    TLS13,
)

_HANDSHAKE, _CLIENT_HELLO = 22, 1
# Extension numbers (IANA).
_SERVER_NAME, _GROUPS, _POINT_FORMATS, _SIGNATURES, _ALPN = 0, 10, 11, 13, 16
_EXTENDED_MASTER_SECRET, _TICKET = 23, 35
_VERSIONS, _KEY_EXCHANGE_MODES, _KEY_SHARE = 43, 45, 51
_RENEGOTIATION = 0xFF01
_COMPRESSION_NULL, _COMPRESSION_DEFLATE = 0, 1


def _random() -> bytes:
    return os.urandom(32)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client offers. An empty `key_shares` makes a TLS 1.3 server name its group."""

    version: int
    suites: Sequence[int] = ()
    groups: Sequence[int] = tuple(GROUPS)
    signature_schemes: Sequence[int] = tuple(SIGNATURE_SCHEMES)
    server_name: str = ""
    alpn: Sequence[str] = ()
    key_shares: Sequence[tuple[int, bytes]] = ()
    compression: bool = False
    random: bytes = field(default_factory=_random)
    session_id: bytes = field(default_factory=_random)

    def message(self) -> bytes:
        """The handshake message, as it enters the transcript hash."""
        suites = self.suites or tuple(SUITES_13 if self.version == TLS13 else SUITES_12)
        methods = bytes([_COMPRESSION_DEFLATE] if self.compression else [])
        body = (
            _number(min(self.version, TLS12))
            + self.random
            + _vector(self.session_id if self.version == TLS13 else b"", 1)
            + _vector(b"".join(map(_number, suites)), 2)
            + _vector(methods + bytes([_COMPRESSION_NULL]), 1)
        )
        if self.version != SSL30:
            body += _vector(b"".join(self._extensions()), 2)
        return bytes([_CLIENT_HELLO]) + _vector(body, 3)

    def record(self) -> bytes:
        """The message in one record, ready to be sent."""
        version = SSL30 if self.version == SSL30 else TLS10
        return bytes([_HANDSHAKE]) + _number(version) + _vector(self.message(), 2)

    def _extensions(self) -> list[bytes]:
        extensions = [
            _extension(_RENEGOTIATION, b"\0"),
            _extension(_GROUPS, _numbers(self.groups)),
            _extension(_POINT_FORMATS, b"\1\0"),
            _extension(_EXTENDED_MASTER_SECRET, b""),
            _extension(_TICKET, b""),
        ]
        if self.server_name:
            name = b"\0" + _vector(self.server_name.encode("ascii"), 2)
            extensions.append(_extension(_SERVER_NAME, _vector(name, 2)))
        if self.version >= TLS12:
            extensions.append(_extension(_SIGNATURES, _numbers(self.signature_schemes)))
        if self.alpn:
            names = b"".join(_vector(name.encode("ascii"), 1) for name in self.alpn)
            extensions.append(_extension(_ALPN, _vector(names, 2)))
        if self.version == TLS13:
            shares = b"".join(_number(group) + _vector(key, 2) for group, key in self.key_shares)
            extensions += [
                _extension(_VERSIONS, _vector(_number(TLS13), 1)),
                _extension(_KEY_EXCHANGE_MODES, b"\1\1"),
                _extension(_KEY_SHARE, _vector(shares, 2)),
            ]
        return extensions


def _number(number: int) -> bytes:
    return number.to_bytes(2)


def _numbers(numbers: Sequence[int]) -> bytes:
    return _vector(b"".join(map(_number, numbers)), 2)


def _vector(content: bytes, length_octets: int) -> bytes:
    return len(content).to_bytes(length_octets) + content


def _extension(number: int, content: bytes) -> bytes:
    return _number(number) + _vector(content, 2)
