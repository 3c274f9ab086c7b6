"""What a load balancer's own connections hear."""

from __future__ import annotations

import asyncio

import pytest

from mailfront.listener.health_probe import HttpProbe, LineProbe, SmtpProbe
from tests.support.memory_transport import MemoryTransport


def probed(probe: LineProbe) -> MemoryTransport:
    transport = MemoryTransport()
    transport.set_protocol(probe)
    probe.connection_made(transport)
    return transport


async def test_a_greeting_and_a_farewell_at_the_first_line() -> None:
    transport = probed(LineProbe(b"+OK ready\r\n", b"-ERR probes\r\n"))
    assert transport.take() == b"+OK ready\r\n"
    transport.feed(b"QU")
    assert not transport.is_closing()
    transport.feed(b"IT\r\nUSER alice\r\n")
    assert transport.take() == b"-ERR probes\r\n"
    assert transport.is_closing()
    transport.feed(b"PASS secret\r\n")
    assert transport.take() == b""


async def test_smtp_takes_a_name_and_no_mail() -> None:
    transport = probed(SmtpProbe(b"[192.0.2.1]"))
    assert transport.take() == b"220 [192.0.2.1] ready\r\n"
    transport.feed(b"HELO localhost\r\nehlo localhost\r\n")
    assert transport.take() == b"250 [192.0.2.1]\r\n" * 2
    transport.feed(b"MAIL FROM:<>\r\n")
    assert transport.take().startswith(b"221 2.0.0 ")
    assert transport.is_closing()


async def test_http_has_one_answer_once_the_request_ended() -> None:
    transport = probed(HttpProbe())
    transport.feed(b"OPTIONS / HTTP/1.0\r\nHost: here\r\n")
    assert transport.take() == b""
    transport.feed(b"\r\n")
    assert transport.take().startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.is_closing()


@pytest.mark.parametrize("data", [b"x" * 5000, b"x\r\n" * 5000])
async def test_an_endless_request_is_cut_off(data: bytes) -> None:
    transport = probed(SmtpProbe(b"[192.0.2.1]"))
    transport.feed(data)
    assert transport.is_closing()


async def test_a_probe_that_is_gone_is_answered_no_more() -> None:
    transport = probed(HttpProbe())
    transport.hang_up()
    transport.protocol.data_received(b"\r\n")
    await asyncio.sleep(0)
    assert transport.take() == b""
