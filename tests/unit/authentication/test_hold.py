"""Logins that wait while a mailbox moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from mailfront.authentication.hold import HELD, LoginHold
from mailfront.directory.directory import Directory
from mailfront.directory.entry import AccountStatus, Entry
from tests.support.login_desk import ALICE

NOW = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)
LATER = replace(ALICE, held_until=NOW + timedelta(days=1))


class Moving:
    """A directory whose entry changes after so many looks; time passes in sleep alone."""

    def __init__(self, becomes: Entry | None = LATER, after: int = 0) -> None:
        self.becomes = becomes
        self.after = after
        self.looks = 0
        self.time = 0.0

    async def entry_for_address(self, address: str) -> Entry | None:
        assert address == ALICE.user
        self.looks += 1
        return self.becomes if self.looks > self.after else LATER

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def hold(self, seconds: float = 30) -> LoginHold:
        return LoginHold(
            cast(Directory, self), seconds, clock=lambda: self.time, sleep=self.sleep,
            now=lambda: NOW + timedelta(seconds=self.time),
        )  # fmt: skip


async def test_without_a_hold_nobody_waits() -> None:
    directory = Moving()
    past = replace(ALICE, held_until=NOW)
    assert await directory.hold().released(ALICE) is ALICE
    assert await directory.hold().released(past) is past
    assert (directory.looks, directory.time) == (0, 0.0)


async def test_a_released_login_goes_where_the_mailbox_is_by_then() -> None:
    moved = replace(ALICE, mail_host="store2.example.test")
    directory = Moving(moved, after=4)
    assert await directory.hold().released(LATER) is moved
    assert directory.time == 5.0


async def test_a_hold_that_ends_by_itself_ends_the_wait() -> None:
    soon = replace(ALICE, held_until=NOW + timedelta(seconds=3))
    directory = Moving(soon)
    assert await directory.hold().released(soon) is soon
    assert directory.time == 3.0


@pytest.mark.parametrize("seconds", [0, 0.5, 30])
async def test_a_wait_is_bounded(seconds: float) -> None:
    directory = Moving()
    assert await directory.hold(seconds).released(LATER) is HELD
    assert directory.time == seconds
    assert HELD.temporary


@pytest.mark.parametrize("becomes", [None, replace(ALICE, status=AccountStatus.DELETED)])
async def test_who_is_removed_meanwhile_does_not_get_in(becomes: Entry | None) -> None:
    assert await Moving(becomes).hold().released(LATER) is HELD
