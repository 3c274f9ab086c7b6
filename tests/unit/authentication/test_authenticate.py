import asyncio
import logging
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from mailfront.authentication.authenticate import (
    FAILURE_TIME,
    MAXIMUM_CHECKS,
    PasswordAuthenticator,
)
from mailfront.authentication.password import PasswordChecker, hash_password
from mailfront.authentication.throttle import Throttle
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.authenticator import Identity, Refusal
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Filter

RIGHT = Secret("right password")
ALICE = Entry(
    user="alice@xn--bcher-kva.example", uid="alice",
    addresses=frozenset({"alice@xn--bcher-kva.example", "a@example.test"}),
    password_values=(hash_password(RIGHT),), status=AccountStatus.ACTIVE, name="", mail_host="",
    service_access=(), line=1, end=2,
)  # fmt: skip


class OneUser:
    """A directory whose only user goes by the names `alice` and `Alice`.

    `failure` is what a look-up raises, `verdict` what the directory itself says of a password.
    """

    problem = ""

    def __init__(self) -> None:
        self.entry = ALICE
        self.failure: Exception | None = None
        self.verdict: bool | Exception | None = None
        self.asked_of: list[Entry | None] = []

    async def entry_for_login(self, login: str, default_domain: str) -> Entry | None:
        if self.failure is not None:
            raise self.failure
        return self.entry if login.lower() == "alice" else None

    async def entry_for_address(self, address: str) -> Entry | None:
        return self.entry if address in self.entry.addresses else None

    async def domains(self) -> frozenset[str]:
        return frozenset({"example.test"})

    async def search(
        self, base: DistinguishedName | None, condition: Filter, *, limit: int = 2
    ) -> list[Entry]:
        return [self.entry]

    async def verify_password(self, entry: Entry | None, password: Secret) -> bool | None:
        self.asked_of.append(entry)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


class CountingChecker(PasswordChecker):
    """The real checker, which tells how often it was asked."""

    asked = 0

    def check(self, values: Sequence[str], password: Secret) -> Awaitable[bool]:
        self.asked += 1
        return super().check(values, password)


class Desk:
    """An authenticator with a clock that only its own sleep moves."""

    def __init__(self, **limits: int) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.directory = OneUser()
        self.checker = CountingChecker()
        waiting = limits.pop("waiting", MAXIMUM_CHECKS)
        self.authenticator = PasswordAuthenticator(
            self.directory,
            "example.test",
            throttle=Throttle(clock=self.clock, **limits),
            checker=self.checker,
            waiting=waiting,
            clock=self.clock,
            sleep=self.sleep,
        )

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def login(
        self, name: str = "alice", password: Secret = RIGHT, address: str = "192.0.2.1"
    ) -> Identity | Refusal:
        peer = Peer(address, 40000, "192.0.2.99", 993)
        return await self.authenticator.authenticate("imap", name, password, peer, "PLAIN")

    async def refusal(self, name: str = "alice", password: Secret = RIGHT) -> Refusal:
        answer = await self.login(name, password)
        assert isinstance(answer, Refusal)
        return answer


class MakeDesk(Protocol):
    """What the fixture `make_desk` gives: desks that are closed after the test."""

    def __call__(self, **limits: int) -> Desk: ...


@pytest.fixture
def make_desk() -> Iterator[MakeDesk]:
    desks: list[Desk] = []

    def make(**limits: int) -> Desk:
        desks.append(Desk(**limits))
        return desks[-1]

    yield make
    for desk in desks:
        desk.authenticator.close()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


async def test_the_right_password_gives_the_identity_at_once(desk: Desk) -> None:
    identity = await desk.login()
    assert identity == Identity(
        "alice@xn--bcher-kva.example",
        frozenset({"alice@xn--bcher-kva.example", "alice@bücher.example", "a@example.test"}),
        "PLAIN",
    )
    assert desk.slept == []


async def test_unknown_user_wrong_password_and_deleted_account_look_the_same(desk: Desk) -> None:
    refusals = [
        await desk.refusal("nobody"),
        await desk.refusal(password=Secret("wrong")),
        await desk.refusal(password=Secret("a\0b")),
        await desk.refusal("x" * 100_000),
    ]
    desk.directory.entry = replace(ALICE, status=AccountStatus.DELETED)
    refusals.append(await desk.refusal())
    assert {(refusal.text, refusal.temporary) for refusal in refusals} == {
        ("Invalid user name or password.", False)
    }
    assert desk.checker.asked == 5
    assert all(seconds >= FAILURE_TIME for seconds in desk.slept)


async def test_a_repeated_login_costs_no_check_until_the_password_changes(desk: Desk) -> None:
    for _ in range(3):
        assert isinstance(await desk.login(), Identity)
    assert desk.checker.asked == 1
    assert isinstance(await desk.login(password=Secret("wrong")), Refusal)
    desk.directory.entry = replace(ALICE, password_values=(hash_password(Secret("new")),))
    assert isinstance(await desk.login(), Refusal)
    assert isinstance(await desk.login(password=Secret("new")), Identity)


async def test_many_equal_logins_at_once_are_one_check(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.login() for _ in range(50)))
    assert all(isinstance(answer, Identity) for answer in answers)
    assert desk.checker.asked == 1


async def test_many_different_guesses_at_once_are_few_checks(make_desk: MakeDesk) -> None:
    desk = make_desk(user_limit=5)
    guesses = [Secret(str(number)) for number in range(50)]
    answers = await asyncio.gather(*(desk.login(password=guess) for guess in guesses))
    assert desk.checker.asked == 5
    assert sum(isinstance(answer, Refusal) and answer.temporary for answer in answers) == 45


async def test_a_throttled_login_is_refused_even_with_the_right_password(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(user_limit=2)
    for number in range(2):
        await desk.login(password=Secret(f"wrong {number}"))
    refusal = await desk.login(address="198.51.100.1")
    assert isinstance(refusal, Refusal)
    assert (refusal.temporary, refusal.reason) == (True, "throttled")
    assert desk.checker.asked == 2
    desk.now += 300
    assert isinstance(await desk.login(), Identity)


async def test_a_cached_success_is_no_way_around_the_throttle(make_desk: MakeDesk) -> None:
    desk = make_desk(user_limit=2)
    assert isinstance(await desk.login(address="203.0.113.5"), Identity)
    for number in range(2):
        await desk.login(password=Secret(f"wrong {number}"))
    assert isinstance(await desk.login(), Refusal)
    assert isinstance(await desk.login(address="203.0.113.5"), Identity)


async def test_more_logins_than_there_is_room_for_are_refused_for_a_while(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(waiting=3)
    names = [f"user{number}" for number in range(10)]
    answers = await asyncio.gather(*(desk.login(name) for name in names))
    assert sum(isinstance(answer, Refusal) and answer.temporary for answer in answers) == 7
    assert isinstance(await desk.login(), Identity)


async def test_a_client_that_leaves_early_has_its_failure_counted(make_desk: MakeDesk) -> None:
    desk = make_desk(user_limit=2)
    for number in range(2):
        login = asyncio.ensure_future(desk.login(password=Secret(f"wrong {number}")))
        await asyncio.sleep(0)
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
    assert (await desk.refusal()).reason == "throttled"


async def test_the_status_of_an_account_is_told_only_for_the_right_password(desk: Desk) -> None:
    desk.directory.entry = replace(ALICE, status=AccountStatus.INACTIVE)
    assert (await desk.refusal()).temporary
    assert (await desk.refusal(password=Secret("wrong"))).text == "Invalid user name or password."


async def test_the_log_names_known_users_and_never_what_was_typed_for_others(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await desk.login(password=Secret("hunter2"))
    await desk.login("hunter2", Secret("alice"))
    await desk.login("hunter2", Secret("alice2"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == (
        "login refused service=imap peer=192.0.2.1:40000 user=alice@xn--bcher-kva.example "
        "method=PLAIN reason=wrong password"
    )
    assert "user=unknown:" in lines[1]
    assert lines[1] == lines[2]
    assert "hunter2" not in "".join(lines)


async def test_a_surrogate_in_a_name_or_password_is_only_wrong(desk: Desk) -> None:
    assert isinstance(await desk.login("\ud800"), Refusal)
    assert isinstance(await desk.login(password=Secret("\ud800")), Refusal)


async def test_a_directory_that_is_away_is_no_wrong_password(
    make_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = make_desk(user_limit=1)
    desk.directory.failure = DirectoryUnavailableError("no server answers")
    for name in ("alice", "nobody"):
        for _ in range(3):
            refusal = await desk.refusal(name)
            assert (refusal.temporary, refusal.reason) == (True, "directory unavailable")
    assert "reason=directory unavailable: no server answers" in caplog.text
    desk.directory.failure = None
    assert isinstance(await desk.login(), Identity)


async def test_a_directory_that_leaves_during_the_check_is_no_failed_attempt(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(user_limit=1)
    desk.directory.verdict = DirectoryUnavailableError("gone")
    for name in ("alice", "nobody", "alice"):
        refusal = await desk.refusal(name)
        assert refusal.temporary
        assert refusal.text == "Temporarily unavailable; try again later."
    desk.directory.verdict = True
    assert isinstance(await desk.login(), Identity)


async def test_where_the_directory_judges_passwords_its_word_counts(desk: Desk) -> None:
    desk.directory.verdict = True
    assert isinstance(await desk.login(password=Secret("theirs")), Identity)
    assert (await desk.refusal("nobody")).text == "Invalid user name or password."
    desk.directory.verdict = False
    assert (await desk.refusal()).text == "Invalid user name or password."
    assert desk.directory.asked_of == [ALICE, None, ALICE]
    assert desk.checker.asked == 0
