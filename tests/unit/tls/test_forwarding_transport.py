"""The part of a transport that knows no TLS. What it does for real is in test_transport.py."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailfront.interfaces.peer import Peer
from mailfront.tls.forwarding_transport import ForwardingTransport, peer_of
from tests.support.memory_transport import MemoryTransport


class Raw(MemoryTransport):
    def get_write_buffer_size(self) -> int:
        return 7

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (1, 2)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (high, low)


class Made(ForwardingTransport):
    def __init__(self, raw: Raw | None) -> None:
        super().__init__(asyncio.get_running_loop())
        self._raw = raw


async def test_reading_is_passed_on_and_stops_with_the_connection() -> None:
    raw = Raw()
    transport = Made(raw)
    transport.pause_reading()
    assert not raw.reading
    assert not transport.is_reading()
    transport.pause_writing()
    transport.resume_writing()
    assert not raw.reading
    transport.abort()
    assert raw.is_closing()
    assert transport.is_closing()


async def test_it_answers_for_the_loop_s_transport() -> None:
    raw = Raw()
    transport = Made(raw)
    assert transport.get_write_buffer_size() == 7
    assert transport.get_write_buffer_limits() == (1, 2)
    transport.set_write_buffer_limits(high=10)
    assert raw.limits == (10, None)


async def test_without_one_it_answers_all_the_same() -> None:
    transport = Made(None)
    assert transport.get_write_buffer_size() == 0
    assert transport.get_write_buffer_limits() == (0, 0)
    assert transport.get_extra_info("peername", "nobody") == "nobody"
    transport.set_write_buffer_limits(high=10)
    transport.pause_reading()
    transport.abort()


async def test_the_front_can_be_exchanged() -> None:
    transport = Made(None)
    assert transport.front_protocol is None
    front = asyncio.Protocol()
    transport.set_protocol(front)
    assert transport.get_protocol() is front
    assert transport.front_protocol is front


async def test_a_peer_that_is_gone_already_is_not_waited_for() -> None:
    class Gone(Raw):
        def write_eof(self) -> None:
            raise OSError(107, "Transport endpoint is not connected")

    raw = Gone()
    Made(raw)._discard_input(raw)
    assert raw.is_closing()


class Ends(asyncio.BaseTransport):
    """A transport that only knows its ends."""

    def __init__(self, remote: str, local: str) -> None:
        super().__init__({"peername": (remote, 40000), "sockname": (local, 993)})

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return super().get_extra_info(name, default)


@pytest.mark.parametrize(
    ("remote", "local", "address"),
    [
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("::ffff:192.0.2.7", "::ffff:198.51.100.1", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::1", "2001:db8::7"),
        ("::ffff:0:1", "2001:db8::1", "::ffff:0:1"),
    ],
)
def test_an_ipv4_client_has_its_own_address_on_an_ipv6_socket(
    remote: str, local: str, address: str
) -> None:
    peer = peer_of(Ends(remote, local))
    assert peer.address == address
    assert "ffff:1" not in peer.local_address


def test_a_client_that_is_gone_already_is_unknown() -> None:
    assert peer_of(asyncio.BaseTransport()) == Peer("unknown", 0, "unknown", 0)
