"""The PROXY protocol, versions 1 and 2: who the client is, as a proxy before us says, or as we say.

Octets in, a header or "more is needed" out, and never an octet taken too many; and the version 2
header that we send to servers behind us, with what TLS agreed on. After the specification "The
PROXY protocol", sections 2.1, 2.2 and 2.2.8 (haproxy.org), which has no RFC.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from mailfront.errors import ProxyHeaderError
from mailfront.interfaces.peer import Peer, TlsFacts

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
# Section 2.1: 107 octets with the end of the line are enough for every version 1 header.
_LONGEST_V1 = 107
# Section 2.2: what follows the fixed part; addresses take up to 216, the rest is for TLVs.
LONGEST_V2 = 4096
_FIXED = struct.Struct("!12sBBH")
_V2_LOCAL, _V2_PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESSES = {_TCP4: struct.Struct("!4s4sHH"), _TCP6: struct.Struct("!16s16sHH")}

_TYPE_ALPN, _TYPE_AUTHORITY, _TYPE_SSL = 0x01, 0x02, 0x20
_SUBTYPE_VERSION, _SUBTYPE_CIPHER = 0x21, 0x23
_CLIENT_SSL, _CLIENT_CERT_CONN = 0x01, 0x02

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A header of `length` octets. `peer` is the client's and our address as the proxy saw them;
    None for a connection of the proxy's own (LOCAL, UNKNOWN), such as a health probe."""

    peer: Peer | None
    length: int


def parse_header(received: bytes) -> ProxyHeader | None:
    """Return the header that `received` begins with, or None while more is needed.

    Raises `ProxyHeaderError` as soon as it cannot become one.
    """
    if received[: len(SIGNATURE)] == SIGNATURE[: len(received)]:
        return _version_2(received)
    if received[:6] == b"PROXY "[: len(received)]:
        return _version_1(received)
    raise ProxyHeaderError("no PROXY header, which this port demands")


def _version_1(received: bytes) -> ProxyHeader | None:
    end = received.find(b"\r\n", 0, _LONGEST_V1)
    if end < 0:
        if len(received) >= _LONGEST_V1:
            raise ProxyHeaderError("a PROXY line without an end")
        return None
    words = received[:end].split(b" ")
    length = end + 2
    if words[1:2] == [b"UNKNOWN"]:
        return ProxyHeader(None, length)
    version = {b"TCP4": 4, b"TCP6": 6}.get(words[1])
    if len(words) != 6 or version is None:
        raise ProxyHeaderError("a PROXY line of another form")
    try:
        source, destination = (ipaddress.ip_address(word.decode("ascii")) for word in words[2:4])
        ports = [_port(word) for word in words[4:6]]
    except ValueError:
        raise ProxyHeaderError("a PROXY line without addresses and ports") from None
    if {source.version, destination.version} != {version}:
        raise ProxyHeaderError("a PROXY line whose addresses are of another family")
    return ProxyHeader(Peer(str(source), ports[0], str(destination), ports[1]), length)


def _port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or int(word) > 65535:
        raise ValueError("no port")
    return int(word)


def _version_2(received: bytes) -> ProxyHeader | None:
    if len(received) < _FIXED.size:
        return None
    _, command, family, rest = _FIXED.unpack_from(received)
    if command not in (_V2_LOCAL, _V2_PROXY):
        raise ProxyHeaderError("a PROXY header of an unknown version or command")
    if rest > LONGEST_V2:
        raise ProxyHeaderError(f"a PROXY header of {rest} octets")
    length = _FIXED.size + rest
    if len(received) < length:
        return None
    addresses = _ADDRESSES.get(family)
    if command == _V2_LOCAL or addresses is None:
        # Section 2.2: other families are to be accepted, their addresses not used.
        return ProxyHeader(None, length)
    if rest < addresses.size:
        raise ProxyHeaderError("a PROXY header too short for its addresses")
    source, destination, source_port, port = addresses.unpack_from(received, _FIXED.size)
    peer = Peer(
        str(ipaddress.ip_address(source)), source_port,
        str(ipaddress.ip_address(destination)), port,
    )  # fmt: skip
    return ProxyHeader(peer, length)


def build_header(peer: Peer, tls: TlsFacts | None) -> bytes:
    """Return the version 2 header for a client of ours, with its TLS if there is any.

    A client that it cannot name (`names_client`) is announced as LOCAL: better nothing than half.
    """
    addresses = _addresses_of(peer)
    if addresses is None:
        return _FIXED.pack(SIGNATURE, _V2_LOCAL, 0, 0)
    source, destination = addresses
    family = _TCP4 if source.version == 4 else _TCP6
    body = _ADDRESSES[family].pack(source.packed, destination.packed, peer.port, peer.local_port)
    if tls is not None:
        body += _tls_values(tls)
    return _FIXED.pack(SIGNATURE, _V2_PROXY, family, len(body)) + body


def names_client(peer: Peer) -> bool:
    """Whether the header tells the client's address: both ends are known, and of one family."""
    return _addresses_of(peer) is not None


def _addresses_of(peer: Peer) -> tuple[_Address, _Address] | None:
    try:
        source = ipaddress.ip_address(peer.address.partition("%")[0])
        destination = ipaddress.ip_address(peer.local_address.partition("%")[0])
    except ValueError:
        return None
    return (source, destination) if source.version == destination.version else None


def _tls_values(tls: TlsFacts) -> bytes:
    certificate = tls.client_certificate
    verified = certificate is not None and certificate.verified
    flags = _CLIENT_SSL | (_CLIENT_CERT_CONN if verified else 0)
    inner = struct.pack("!BI", flags, 0 if verified else 1)
    inner += _value(_SUBTYPE_VERSION, tls.version) + _value(_SUBTYPE_CIPHER, tls.suite)
    values = struct.pack("!BH", _TYPE_SSL, len(inner)) + inner
    if tls.alpn:
        values += _value(_TYPE_ALPN, tls.alpn)
    if tls.server_name:
        values += _value(_TYPE_AUTHORITY, tls.server_name)
    return values


def _value(kind: int, text: str) -> bytes:
    data = text.encode("utf-8")[:255]
    return struct.pack("!BH", kind, len(data)) + data
