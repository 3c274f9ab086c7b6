from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ProxyHeaderError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.protocol.proxy_header import (
    LONGEST_V2,
    SIGNATURE,
    ProxyHeader,
    build_header,
    names_client,
    parse_header,
)

V4 = Peer("192.0.2.7", 40000, "198.51.100.1", 993)
V6 = Peer("2001:db8::7", 40000, "2001:db8::1", 993)
LINE_4 = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 993\r\n"
LINE_6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 993\r\n"
HEADER_4 = SIGNATURE + bytes.fromhex("2111000c c0000207 c6336401 9c40 03e1")
PROBE = SIGNATURE + bytes.fromhex("20000000")
TLS = TlsFacts(
    "TLSv1.3", "TLS_AES_128_GCM_SHA256", 128, resumed=False, nickname="imap-cert",
    server_name="imap.example.test", alpn="imap",
)  # fmt: skip


@pytest.mark.parametrize(
    ("octets", "peer"),
    [
        (LINE_4, V4),
        (LINE_6, V6),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (HEADER_4, V4),
        (PROBE, None),
        # A local command's addresses count for nothing; neither do those of other families.
        (SIGNATURE + bytes.fromhex("2011000c c0000207 c6336401 9c40 03e1"), None),
        (SIGNATURE + bytes.fromhex("21310004 01020304"), None),
        (SIGNATURE + bytes.fromhex("21000000"), None),
    ],
)
def test_a_header_tells_the_client_and_its_own_length(octets: bytes, peer: Peer | None) -> None:
    assert parse_header(octets) == ProxyHeader(peer, len(octets))
    assert parse_header(octets + b"\x16\x03\x01") == ProxyHeader(peer, len(octets))
    for end in range(len(octets)):
        assert parse_header(octets[:end]) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"a1 CAPABILITY\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        b"PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\xb2 2\r\n",
        b"PROXY TCP4 \xff 1.2.3.4 1 2\r\n",
        b"PROXY \r\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE + bytes.fromhex("11110000"),
        SIGNATURE + bytes.fromhex("22110000"),
        SIGNATURE + bytes.fromhex("2111000b") + bytes(11),
        SIGNATURE + struct.pack("!BBH", 0x21, 0x11, LONGEST_V2 + 1),
    ],
)
def test_what_is_no_header_is_refused(octets: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        parse_header(octets)


@given(st.binary(max_size=300))
def test_any_octets_are_a_header_or_refused_or_wait_for_more(octets: bytes) -> None:
    try:
        header = parse_header(octets)
    except ProxyHeaderError:
        return
    assert header is None or header.length <= len(octets)


@given(
    st.one_of(st.tuples(*[st.ip_addresses(v=4)] * 2), st.tuples(*[st.ip_addresses(v=6)] * 2)),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.booleans(),
)
def test_what_we_send_is_what_is_read(
    addresses: tuple[ipaddress.IPv4Address, ipaddress.IPv4Address],
    port: int,
    local_port: int,
    encrypted: bool,
) -> None:
    peer = Peer(str(addresses[0]), port, str(addresses[1]), local_port)
    octets = build_header(peer, TLS if encrypted else None)
    assert parse_header(octets) == ProxyHeader(peer, len(octets))


def test_without_tls_the_header_is_the_specifications() -> None:
    assert build_header(V4, None) == HEADER_4


def values(octets: bytes) -> dict[int, bytes]:
    found = {}
    while octets:
        kind, length = struct.unpack_from("!BH", octets)
        found[kind] = octets[3 : 3 + length]
        octets = octets[3 + length :]
    return found


@pytest.mark.parametrize(
    ("certificate", "flags", "result"),
    [
        (None, 1, 1),
        (ClientCertificate(b"leaf"), 3, 0),
        (ClientCertificate(b"leaf", fault=CertificateFault.UNTRUSTED), 1, 1),
    ],
)
def test_tls_is_told_and_a_certificate_only_if_it_is_verified(
    certificate: ClientCertificate | None, flags: int, result: int
) -> None:
    facts = TlsFacts(
        TLS.version, TLS.suite, TLS.bits, resumed=False, nickname="", server_name=TLS.server_name,
        alpn="imap", client_certificate=certificate,
    )  # fmt: skip
    found = values(build_header(V4, facts)[len(HEADER_4) :])
    assert found[0x01] == b"imap"
    assert found[0x02] == b"imap.example.test"
    assert struct.unpack("!BI", found[0x20][:5]) == (flags, result)
    assert values(found[0x20][5:]) == {0x21: b"TLSv1.3", 0x23: b"TLS_AES_128_GCM_SHA256"}


@pytest.mark.parametrize(
    "peer", [Peer("unknown", 0, "unknown", 0), Peer("192.0.2.7", 1, "2001:db8::1", 2)]
)
def test_half_an_address_is_not_sent(peer: Peer) -> None:
    octets = build_header(peer, TLS)
    assert octets == PROBE
    assert not names_client(peer)
    assert names_client(V4)
