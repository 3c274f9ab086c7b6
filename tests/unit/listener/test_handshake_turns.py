"""Whose handshake begins, whose waits, whose is refused."""

from __future__ import annotations

import asyncio

from mailfront.listener import handshake_turns
from mailfront.listener.handshake_turns import (
    HASTE,
    PATIENCE,
    PER_TURN,
    SIGNING_STEPS,
    WAITING_PER_NETWORK,
    HandshakeTurns,
)

CLIENT = "192.0.2.1"
OTHER = "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Office:
    """Turns under a clock of its own, and in which order handshakes began."""

    def __init__(self, *, total: int = 0, per_address: int = 0, per_minute: int = 0) -> None:
        self.clock = Clock()
        self.begun: list[str] = []
        self.refused: list[str] = []
        self.turns = HandshakeTurns(
            total=total, per_address=per_address, per_minute=per_minute, clock=self.clock
        )

    def enter(self, name: str, address: str = CLIENT) -> Client:
        client = Client(self, name)
        self.turns.enter(client, address)
        return client


class Client:
    def __init__(self, office: Office, name: str) -> None:
        self._office = office
        self._name = name
        self.at_token = False

    def begin_handshake(self) -> None:
        self._office.begun.append(self._name)

    def refuse_handshake(self, reason: str) -> None:
        self._office.refused.append(self._name)

    def leave(self, *, resumed: bool = False) -> None:
        self._office.turns.leave(self, resumed=resumed)


async def some_turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_handshake_begins_at_once() -> None:
    office = Office(total=10, per_address=5, per_minute=100)
    client = office.enter("a")
    assert office.begun == ["a"]
    client.leave()
    assert office.turns.waiting == 0


async def test_a_few_begin_in_each_turn_of_the_loop() -> None:
    office = Office()
    for number in range(3 * PER_TURN):
        office.enter(str(number))
    assert len(office.begun) == PER_TURN
    await some_turns()
    assert office.begun == [str(number) for number in range(3 * PER_TURN)]


async def test_beyond_the_total_they_wait_for_the_end_of_one() -> None:
    office = Office(total=2)
    first, _ = office.enter("a"), office.enter("b", OTHER)
    office.enter("c")
    await some_turns()
    assert office.begun == ["a", "b"]
    first.leave()
    await some_turns()
    assert office.begun == ["a", "b", "c"]


async def test_a_network_at_its_bound_holds_up_no_other() -> None:
    office = Office(per_address=1)
    first, _ = office.enter("a"), office.enter("b")
    office.enter("c", OTHER)
    await some_turns()
    assert office.begun == ["a", "c"]
    first.leave()
    await some_turns()
    assert office.begun == ["a", "c", "b"]


async def test_networks_take_turns() -> None:
    office = Office(total=1)
    running = office.enter("first")
    waiting = [office.enter(f"a{number}") for number in range(3)]
    waiting += [office.enter("b", OTHER), office.enter("c", "192.0.2.3")]
    running.leave()
    await some_turns()
    for _ in range(4):
        begun = office.begun[-1]
        next(each for each in waiting if each._name == begun).leave()
        await some_turns()
    assert office.begun == ["first", "b", "c", "a0", "a1", "a2"]


async def test_a_budget_is_spent_and_earned_again() -> None:
    office = Office(per_minute=2)
    for name in "ab":
        office.enter(name).leave()
    client = office.enter("c")
    await some_turns()
    assert office.begun == ["a", "b"]
    client.leave()
    office.clock.now += 30
    office.enter("d")
    assert office.begun == ["a", "b", "d"]


async def test_who_waits_for_the_budget_begins_when_it_is_earned() -> None:
    office = Office(per_minute=1200)
    for _ in range(1200):
        office.enter("a").leave()
        await asyncio.sleep(0)
    office.enter("late")
    assert office.begun[-1] == "a"
    office.clock.now += 60
    await asyncio.sleep(0.1)
    assert office.begun[-1] == "late"


async def test_a_resumed_handshake_costs_nothing() -> None:
    office = Office(per_minute=1)
    for _ in range(PER_TURN):
        office.enter("a").leave(resumed=True)
    assert len(office.begun) == PER_TURN


async def test_another_network_has_its_own_budget() -> None:
    office = Office(per_minute=1)
    office.enter("a").leave()
    office.enter("b", OTHER).leave()
    office.enter("c", "2001:db8::1").leave()
    office.enter("d", "2001:db8::2")
    await some_turns()
    assert office.begun == ["a", "b", "c"]


async def test_behind_too_many_of_one_network_the_next_is_refused() -> None:
    office = Office(per_address=1)
    for number in range(1 + WAITING_PER_NETWORK):
        office.enter(str(number))
    late = office.enter("late")
    assert office.refused == ["late"]
    late.leave()
    assert office.turns.waiting == WAITING_PER_NETWORK


async def test_who_says_nothing_more_makes_room_for_one_who_waits() -> None:
    office = Office(total=2)
    office.enter("silent")
    office.clock.now += 1
    office.enter("young", OTHER)
    office.enter("late", "192.0.2.3")
    await some_turns()
    assert office.begun == ["silent", "young"]
    office.clock.now += PATIENCE - 1
    office.enter("later", "192.0.2.4")
    await some_turns()
    assert office.refused == ["silent"]
    assert office.begun == ["silent", "young", "late"]


async def test_a_network_that_has_no_place_gets_one_of_a_network_that_has_several() -> None:
    office = Office(total=3)
    for name in "ab":
        office.enter(name)
    office.enter("c", OTHER)
    office.enter("d")
    office.enter("e", "192.0.2.3")
    await some_turns()
    assert office.begun == ["a", "b", "c"]
    office.clock.now += HASTE
    office.enter("f", "192.0.2.4")
    await some_turns()
    assert office.begun == ["a", "b", "c", "e"]
    assert office.refused == ["a"]
    assert office.turns.waiting == 2


async def test_the_only_place_of_a_network_is_its_own_for_longer() -> None:
    office = Office(total=2)
    office.enter("a")
    office.enter("b", OTHER)
    office.clock.now += HASTE
    office.enter("c", "192.0.2.3")
    await some_turns()
    assert office.refused == []
    office.clock.now += PATIENCE - HASTE
    office.enter("d", "192.0.2.4")
    await some_turns()
    assert (office.refused, office.begun) == (["a", "b"], ["a", "b", "c", "d"])


async def test_who_waits_for_our_signature_is_not_silent() -> None:
    office = Office(total=2)
    first, second = office.enter("a"), office.enter("b")
    for client in (first, second):
        office.turns.signing(client, begun=True)
    office.clock.now += HASTE
    office.enter("c", OTHER)
    await some_turns()
    assert office.refused == []
    office.clock.now += PATIENCE - HASTE - 0.1
    office.turns.signing(second, begun=False)
    office.turns.signing(first, begun=False)
    office.clock.now += HASTE - 0.1
    await some_turns()
    assert office.refused == []
    office.clock.now += 0.1
    office.enter("d", "192.0.2.3")
    await asyncio.sleep(0.1)
    assert (office.refused, office.begun) == (["b"], ["a", "b", "c"])


async def test_whom_a_token_does_not_take_up_makes_room_and_whom_it_has_taken_up_does_not() -> None:
    office = Office(total=2)
    first, second = office.enter("a"), office.enter("b", OTHER)
    for client in (first, second):
        office.turns.signing(client, begun=True)
    first.at_token = True
    office.clock.now += PATIENCE
    office.enter("c", "192.0.2.3")
    office.enter("d", "192.0.2.4")
    await some_turns()
    assert (office.refused, office.begun) == (["b"], ["a", "b", "c"])


async def test_who_answers_in_pieces_is_not_given_more_time_for_each() -> None:
    office = Office(total=1)
    client = office.enter("a")
    for _ in range(SIGNING_STEPS):
        office.turns.signing(client, begun=True)
        office.turns.signing(client, begun=False)
    office.clock.now += PATIENCE
    for begun in (True, False, True):
        office.turns.signing(client, begun=begun)
    office.enter("b", OTHER)
    await some_turns()
    assert (office.refused, office.begun) == (["a"], ["a", "b"])


async def test_a_signature_for_one_that_is_over_changes_nothing() -> None:
    office = Office(total=1)
    first, second = office.enter("a"), office.enter("b")
    office.turns.signing(second, begun=True)
    office.turns.signing(first, begun=True)
    first.leave()
    office.turns.signing(first, begun=False)
    await some_turns()
    assert office.begun == ["a", "b"]
    second.leave()
    assert office.turns.remembered == 0


async def test_networks_with_nothing_under_way_come_first() -> None:
    office = Office(total=2)
    first, second = office.enter("a"), office.enter("b", OTHER)
    office.enter("c")
    office.enter("d", "192.0.2.3")
    second.leave()
    await some_turns()
    assert office.begun == ["a", "b", "d"]
    first.leave()
    await some_turns()
    assert office.begun == ["a", "b", "d", "c"]


async def test_who_says_nothing_more_keeps_its_place_while_nobody_waits() -> None:
    office = Office(total=2)
    office.enter("silent")
    office.clock.now += 100
    office.enter("other", OTHER)
    await some_turns()
    assert office.refused == []


async def test_who_leaves_while_waiting_never_begins() -> None:
    office = Office(total=1)
    first, second, _ = office.enter("a"), office.enter("b"), office.enter("c")
    second.leave()
    second.leave()
    first.leave()
    await some_turns()
    assert office.begun == ["a", "c"]


async def test_memory_is_bounded() -> None:
    office = Office(per_minute=10)
    for number in range(handshake_turns.REMEMBERED_NETWORKS + 500):
        office.enter("x", f"192.0.{number // 250}.{number % 250}").leave()
        if number % PER_TURN == 0:
            await asyncio.sleep(0)
    assert office.turns.remembered <= handshake_turns.REMEMBERED_NETWORKS
    office.clock.now += 61
    office.enter("x").leave()
    assert office.turns.remembered == 1


async def test_without_a_budget_nobody_is_remembered() -> None:
    office = Office()
    office.enter("a").leave()
    assert office.turns.remembered == 0
