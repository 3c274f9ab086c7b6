from __future__ import annotations

import asyncio
from typing import cast

import pytest

from mailfront.backend.upstream.relay import CLIENT_CLOSED, UPSTREAM_CLOSED, Farewells, Relay
from mailfront.backend.upstream.words import ImapWords, PopWords
from mailfront.configuration.upstream_list import Upstream, parse_upstream
from mailfront.interfaces.backend import LOGOUT
from mailfront.tls.client_transport import ClientTransport
from tests.support.memory_transport import MemoryTransport

FAREWELLS = ImapWords.farewells
ANSWER = b"a1 OK Logged in\r\n"


class TwoSides:
    """A relay between a client and an upstream in memory."""

    def __init__(
        self, *, leftover: bytes = b"", idle: float = 60.0, farewells: Farewells = FAREWELLS
    ) -> None:
        self.client, self.upstream = MemoryTransport(), MemoryTransport()
        self.relay = Relay(
            self.client, cast(ClientTransport, self.upstream), farewells, idle_timeout=idle
        )
        self.relay.start(ANSWER, leftover)

    def reading(self) -> tuple[str, ...]:
        sides = {"client": self.client, "upstream": self.upstream}
        return tuple(name for name, side in sides.items() if side.reading)

    def reason(self) -> str:
        return self.relay.ended.result()


async def test_the_answer_to_the_login_comes_first() -> None:
    sides = TwoSides()
    assert sides.client.take() == ANSWER
    assert sides.client.reading
    assert sides.upstream.reading


async def test_what_was_pipelined_behind_the_login_reaches_the_upstream() -> None:
    sides = TwoSides(leftover=b"a2 SELECT INBOX\r\n")
    assert sides.upstream.take() == b"a2 SELECT INBOX\r\n"


async def test_octets_pass_both_ways_unchanged() -> None:
    sides = TwoSides()
    sides.client.take()
    every_octet = bytes(range(256)) * 100
    sides.client.feed(every_octet)
    assert sides.upstream.take() == every_octet
    sides.upstream.protocol.data_received(cast(bytes, memoryview(every_octet)))
    assert sides.client.take() == every_octet


async def test_a_slow_client_stops_the_upstream_and_a_slow_upstream_the_client() -> None:
    sides = TwoSides()
    sides.client.protocol.pause_writing()
    assert sides.reading() == ("client",)
    sides.client.protocol.resume_writing()
    assert sides.reading() == ("client", "upstream")
    sides.upstream.protocol.pause_writing()
    assert sides.reading() == ("upstream",)
    sides.upstream.protocol.resume_writing()
    assert sides.reading() == ("client", "upstream")


async def test_a_pause_that_the_first_octets_ask_for_stays() -> None:
    client, upstream = Full(), MemoryTransport()
    relay = Relay(client, cast(ClientTransport, upstream), FAREWELLS, idle_timeout=60.0)
    relay.start(ANSWER, b"")
    assert not upstream.reading
    client.hang_up()


class Full(MemoryTransport):
    """A client that takes nothing: each write asks for a pause."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.protocol.pause_writing()


async def test_a_client_that_goes_away_ends_the_upstreams_connection() -> None:
    sides = TwoSides()
    sides.client.hang_up()
    assert sides.upstream.is_closing()
    assert sides.reason() == CLIENT_CLOSED


async def test_an_upstream_that_goes_away_is_told_in_the_protocols_words() -> None:
    sides = TwoSides()
    sides.client.take()
    sides.upstream.hang_up()
    assert sides.client.take() == FAREWELLS.upstream_gone
    assert sides.reason() == UPSTREAM_CLOSED


async def test_no_word_stands_in_the_middle_of_a_message() -> None:
    sides = TwoSides()
    sides.client.feed(b"a2 FETCH 1 BODY[]\r\n")
    sides.upstream.protocol.data_received(b"* 1 FETCH (BODY[] {1000}\r\nhalf of it")
    sides.client.take()
    sides.upstream.hang_up()
    assert sides.client.take() == b""


async def test_no_word_comes_between_a_command_and_its_answer() -> None:
    sides = TwoSides()
    sides.client.take()
    sides.client.feed(b"a2 NOOP\r\n")
    sides.upstream.hang_up()
    assert sides.client.take() == b""
    assert sides.reason() == UPSTREAM_CLOSED


async def test_a_logout_is_the_end_that_the_client_wanted() -> None:
    sides = TwoSides()
    sides.client.feed(b"a2 logout\r\n")
    sides.upstream.protocol.data_received(b"* BYE Logging out\r\na2 OK done\r\n")
    sides.client.take()
    sides.upstream.hang_up()
    assert sides.client.take() == b""
    assert sides.reason() == LOGOUT


async def test_after_a_logout_it_does_not_matter_who_closes_first() -> None:
    sides = TwoSides()
    sides.client.feed(b"a2 LOGOUT\r\n")
    sides.client.hang_up()
    assert sides.reason() == LOGOUT


async def test_a_quit_is_the_end_that_the_client_wanted() -> None:
    sides = TwoSides(farewells=PopWords.farewells)
    sides.client.feed(b"QUIT\r\n")
    sides.upstream.protocol.data_received(b"+OK bye\r\n")
    sides.client.take()
    sides.upstream.hang_up()
    assert sides.client.take() == b""
    assert sides.reason() == LOGOUT


async def test_an_upstream_that_said_goodbye_itself_needs_no_further_word() -> None:
    sides = TwoSides()
    sides.upstream.protocol.data_received(b"* BYE Disconnected for inactivity.\r\n")
    sides.client.take()
    sides.upstream.hang_up()
    assert sides.client.take() == b""


async def test_a_stop_of_the_server_is_told() -> None:
    sides = TwoSides()
    sides.client.take()
    sides.relay.stop()
    assert sides.client.take() == FAREWELLS.stopping
    assert sides.upstream.is_closing()
    assert sides.reason() == "server stopping"


async def test_a_kicked_user_is_told_so() -> None:
    sides = TwoSides()
    sides.client.take()
    sides.relay.stop(kicked=True)
    assert sides.client.take() == FAREWELLS.kicked
    assert sides.reason() == "ended by the administrator"


class Dying:
    """An upstream that dies with all its sessions: this one's client is told later."""

    def lost(self, upstream: Upstream, now: float) -> float:
        return 0.05


async def dying() -> tuple[MemoryTransport, Relay]:
    client, upstream = MemoryTransport(), MemoryTransport()
    losses = (Dying(), parse_upstream("imap://127.0.0.1", ("imap",)))
    relay = Relay(client, cast(ClientTransport, upstream), FAREWELLS, 60.0, losses)
    relay.start(ANSWER, b"")
    client.take()
    upstream.hang_up()
    assert client.take() == b""
    assert not relay.ended.done()
    return client, relay


async def test_the_clients_of_a_server_that_dies_are_told_one_after_the_other() -> None:
    client, relay = await dying()
    # What it says meanwhile stays in the kernel.
    assert not client.reading
    assert await asyncio.wait_for(relay.ended, 10) == UPSTREAM_CLOSED
    assert client.take() == FAREWELLS.upstream_gone


async def test_a_client_that_goes_away_before_is_told_nothing() -> None:
    client, relay = await dying()
    client.hang_up()
    assert relay.ended.result() == CLIENT_CLOSED


async def test_a_stop_does_not_wait_for_it() -> None:
    client, relay = await dying()
    relay.stop()
    assert client.take() == FAREWELLS.stopping
    assert relay.ended.done()


async def test_both_sides_silent_for_too_long_is_the_end() -> None:
    sides = TwoSides(idle=0.01)
    sides.client.take()
    assert await asyncio.wait_for(sides.relay.ended, 10) == "idle time-out"
    assert sides.client.take() == FAREWELLS.idle


async def test_an_upstream_that_speaks_keeps_an_idle_client() -> None:
    sides = TwoSides(idle=0.2)
    for _ in range(6):
        await asyncio.sleep(0.05)
        sides.upstream.protocol.data_received(b"* OK Still here\r\n")
    assert not sides.relay.ended.done()
    sides.client.hang_up()


async def test_the_client_ends_its_side_first() -> None:
    sides = TwoSides()
    assert not sides.client.protocol.eof_received()
    assert sides.upstream.is_closing()


@pytest.mark.parametrize("late", ["data", "eof", "lost", "pause"])
async def test_what_happens_after_the_end_is_nothing(late: str) -> None:
    sides = TwoSides()
    client, upstream = sides.client.protocol, sides.upstream.protocol
    sides.client.hang_up()
    match late:
        case "data":
            client.data_received(b"x")
            upstream.data_received(b"x")
        case "eof":
            assert not client.eof_received()
            assert not upstream.eof_received()
        case "lost":
            upstream.connection_lost(None)
        case _:
            client.pause_writing()
            upstream.pause_writing()
            upstream.resume_writing()
    assert sides.reason() == CLIENT_CLOSED
