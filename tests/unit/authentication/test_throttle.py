import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.authentication import throttle as module
from mailfront.authentication.throttle import ScoreTable, Throttle, address_block


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock=clock, user_limit=5, address_limit=10, half_life=300)


async def fail(throttle: Throttle, address: str, user: str, times: int = 1) -> None:
    for _ in range(times):
        attempt = await throttle.judge(address, user)
        if attempt.refused:
            return
        await throttle.begin(attempt)
        await throttle.failed(attempt)


async def succeed(throttle: Throttle, address: str, user: str) -> None:
    attempt = await throttle.judge(address, user)
    assert not attempt.refused
    await throttle.begin(attempt)
    await throttle.succeeded(attempt)


async def test_the_delay_grows_with_each_failure_up_to_a_bound() -> None:
    throttle = Throttle(clock=Clock())
    delays = []
    for _ in range(12):
        delays.append((await throttle.judge("192.0.2.1", "alice")).delay)
        await fail(throttle, "192.0.2.1", "alice")
    assert delays[:4] == [0, 0.5, 1.5, 3.5]
    assert delays == sorted(delays)
    assert delays[-1] == module.MAXIMUM_DELAY


async def test_too_many_failures_for_a_user_refuse_from_everywhere_until_they_decay(
    throttle: Throttle, clock: Clock
) -> None:
    for number in range(5):
        await fail(throttle, f"192.0.2.{number}", "alice")
    assert (await throttle.judge("198.51.100.1", "alice")).refused
    assert not (await throttle.judge("198.51.100.1", "bob")).refused
    clock.now += 1
    assert not (await throttle.judge("198.51.100.1", "alice")).refused
    await fail(throttle, "198.51.100.1", "alice")
    assert (await throttle.judge("198.51.100.1", "alice")).refused


async def test_too_many_failures_from_an_address_refuse_every_unfamiliar_user(
    throttle: Throttle, clock: Clock
) -> None:
    for number in range(10):
        await fail(throttle, "192.0.2.1", f"user{number}")
    assert (await throttle.judge("192.0.2.1", "bob")).refused
    assert (await throttle.judge("::ffff:192.0.2.1", "bob")).refused
    assert not (await throttle.judge("192.0.2.2", "bob")).refused
    clock.now += 300
    assert not (await throttle.judge("192.0.2.1", "bob")).refused


async def test_nobody_waits_longer_than_one_half_life_after_the_last_failure(
    throttle: Throttle, clock: Clock
) -> None:
    attempts = [(await throttle.judge("192.0.2.1", f"user{number}")) for number in range(200)]
    for attempt in attempts:
        await throttle.begin(attempt)
    for attempt in attempts:
        await throttle.failed(attempt)
    clock.now += 299
    assert (await throttle.judge("192.0.2.1", "bob")).refused
    clock.now += 2
    assert not (await throttle.judge("192.0.2.1", "bob")).refused


async def test_who_logged_in_from_there_before_is_not_locked_out_by_others(
    throttle: Throttle,
) -> None:
    await succeed(throttle, "192.0.2.1", "alice")
    for number in range(10):
        await fail(throttle, "192.0.2.1", f"user{number}")
    await fail(throttle, "198.51.100.1", "alice", 5)
    attempt = await throttle.judge("192.0.2.1", "alice")
    assert (attempt.refused, attempt.delay) == (False, 0)


async def test_guessing_for_a_familiar_user_is_limited_all_the_same(throttle: Throttle) -> None:
    await succeed(throttle, "192.0.2.1", "alice")
    await fail(throttle, "192.0.2.1", "alice", 5)
    assert (await throttle.judge("192.0.2.1", "alice")).refused


async def test_a_success_does_not_wash_an_address_or_a_user_clean(throttle: Throttle) -> None:
    for number in range(4):
        await fail(throttle, "192.0.2.1", f"user{number}", 2)
    await fail(throttle, "192.0.2.1", "alice", 1)
    await succeed(throttle, "192.0.2.1", "mallory")
    await fail(throttle, "192.0.2.1", "another")
    assert (await throttle.judge("192.0.2.1", "bob")).refused


async def test_attempts_count_from_their_beginning(throttle: Throttle) -> None:
    attempts = []
    while not (attempt := (await throttle.judge("192.0.2.1", "alice"))).refused:
        await throttle.begin(attempt)
        attempts.append(attempt)
    assert len(attempts) == 5
    for attempt in attempts:
        await throttle.succeeded(attempt)
    assert not (await throttle.judge("192.0.2.1", "bob")).refused


async def test_an_address_has_a_bounded_number_of_attempts_under_way() -> None:
    throttle = Throttle(clock=Clock())
    attempts = [(await throttle.judge("192.0.2.1", f"u{n}")) for n in range(module.PARALLEL_LIMIT)]
    for attempt in attempts:
        await throttle.begin(attempt)
    assert (await throttle.judge("192.0.2.1", "alice")).refused
    assert not (await throttle.judge("192.0.2.2", "alice")).refused
    await throttle.succeeded(attempts[0])
    assert not (await throttle.judge("192.0.2.1", "alice")).refused


def test_tables_are_bounded_and_the_longest_untouched_entry_makes_room() -> None:
    table = ScoreTable(capacity=100, half_life=300, ceiling=10)
    table.add(b"first", 5, 0)
    for number in range(99):
        table.add(str(number).encode(), 1, 0)
    table.add(b"first", 1, 0)
    for number in range(99):
        table.add(b"x" + str(number).encode(), 1, 0)
    assert len(table) == 100
    assert table.score(b"first", 0) == 6
    assert b"0" not in table


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1, 1))))
def test_a_score_stays_within_its_bounds(steps: list[tuple[float, float]]) -> None:
    table = ScoreTable(capacity=10, half_life=300, ceiling=10)
    now = 0.0
    for pause, amount in steps:
        now += pause
        table.add(b"a", amount, now)
        assert 0 <= table.score(b"a", now) <= 10


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, block: str) -> None:
    assert address_block(address) == block


async def test_an_attempt_whose_outcome_nobody_knows_leaves_no_trace(throttle: Throttle) -> None:
    for _ in range(20):
        attempt = await throttle.judge("192.0.2.1", "alice")
        assert (attempt.refused, attempt.delay, attempt.familiar) == (False, 0, False)
        await throttle.begin(attempt)
        await throttle.abandoned(attempt)


async def test_an_attempt_without_a_user_counts_for_the_address_and_locks_nobody(
    throttle: Throttle,
) -> None:
    for _ in range(10):
        attempt = await throttle.judge("192.0.2.1", None)
        assert not attempt.refused
        await throttle.begin(attempt)
        await throttle.failed(attempt)
    assert (await throttle.judge("192.0.2.1", None)).refused
    assert (await throttle.judge("192.0.2.1", "alice")).refused
    assert not (await throttle.judge("198.51.100.1", "alice")).refused
    await throttle.recognise(attempt)
    assert (await throttle.judge("192.0.2.1", "")).refused
