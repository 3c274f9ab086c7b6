"""One password check for all who ask the same; what only needs no clock of the whole desk.

The rest is in test_authenticate.py, through the authenticator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mailfront.authentication.login_cache import LoginCache
from mailfront.authentication.password_login import PasswordLogin
from mailfront.authentication.throttle import Throttle
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.secret import Secret
from tests.support.login_desk import ALICE, RIGHT, CountingChecker, FewUsers


class Room:
    def __init__(self, waiting: int = 512) -> None:
        self.directory = FewUsers()
        self.throttle = Throttle()
        self.checker = CountingChecker()
        self.passwords = PasswordLogin(
            self.directory, self.throttle, LoginCache(), self.checker, waiting
        )

    async def refusal(self, password: Secret, *, known: bool = True) -> Refusal | None:
        attempt = await self.throttle.judge("192.0.2.1", ALICE.user)
        entry = ALICE if known else None
        return await self.passwords.refusal(entry, ALICE.user, attempt, password)


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.passwords.close()


async def test_the_right_password_is_no_refusal_and_is_remembered(room: Room) -> None:
    assert await room.refusal(RIGHT) is None
    assert await room.refusal(RIGHT) is None
    assert room.checker.asked == 1


async def test_the_right_password_of_nobody_is_refused(room: Room) -> None:
    refusal = await room.refusal(RIGHT, known=False)
    assert refusal is not None
    assert (refusal.reason, refusal.temporary) == ("unknown user", False)
    assert room.checker.asked == 1


async def test_a_directory_that_judges_itself_is_asked_alone(room: Room) -> None:
    room.directory.verdict = True
    assert await room.refusal(Secret("whatever the directory takes")) is None
    room.directory.verdict = False
    assert await room.refusal(RIGHT) is not None
    assert room.checker.asked == 0


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("text", ["", "a\0b", "a\nb", "x" * 1025])
async def test_what_can_be_nobodys_password_is_shown_to_no_directory_and_costs_a_check(
    room: Room, text: str, known: bool
) -> None:
    room.directory.verdict = True
    refusal = await room.refusal(Secret(text), known=known)
    assert refusal is not None
    assert not refusal.temporary
    assert room.directory.asked_of == []
    assert room.checker.asked == 1


async def test_a_directory_that_cannot_judge_now_is_no_failed_attempt(room: Room) -> None:
    room.directory.verdict = DirectoryUnavailableError("no answer")
    for _ in range(30):
        refusal = await room.refusal(RIGHT)
        assert refusal is not None
        assert refusal.temporary
    room.directory.verdict = None
    assert await room.refusal(RIGHT) is None


async def test_a_check_goes_on_when_its_client_leaves(room: Room) -> None:
    asking = asyncio.ensure_future(room.refusal(Secret("wrong")))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    refusal = await room.refusal(Secret("wrong"))
    assert refusal is not None
    assert refusal.reason == "wrong password"
    assert room.checker.asked == 1
