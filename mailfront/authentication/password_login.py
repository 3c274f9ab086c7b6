"""Whether a password is the user's: the cache, the throttle, one check for all who ask the same.

Takes an entry (None for a name that is nobody's), the attempt as the throttle judged it, and the
password; returns why it is not taken, or None. The check is the directory's or made off the event
loop, and costs the same for nobody.
"""

from __future__ import annotations

import asyncio

from mailfront.authentication.login_cache import LoginCache
from mailfront.authentication.password import PasswordChecker, prepare
from mailfront.authentication.throttle import Attempt, LoginThrottle
from mailfront.directory.directory import Directory
from mailfront.directory.entry import Entry
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.secret import Secret
from mailfront.interfaces.tasks import start_task

MAXIMUM_CHECKS = 512
"""More passwords than these are not checked at a time."""

WRONG = "Invalid user name or password."
LATER = "Temporarily unavailable; try again later."


class PasswordLogin:
    """Checks passwords against `directory`; at most `waiting` are checked or wait for it."""

    def __init__(
        self,
        directory: Directory,
        throttle: LoginThrottle,
        cache: LoginCache,
        checker: PasswordChecker,
        waiting: int = MAXIMUM_CHECKS,
    ) -> None:
        self._directory = directory
        self._throttle = throttle
        self._cache = cache
        self._checker = checker
        self._waiting = waiting
        self._under_way: dict[bytes, asyncio.Task[Refusal | None]] = {}

    async def refusal(
        self, entry: Entry | None, user: str, attempt: Attempt, password: Secret
    ) -> Refusal | None:
        """Return why the password is not taken, or None where it is right. `user` is the name in
        full, of whom there may be no entry."""
        if attempt.refused:
            return Refusal(LATER, "throttled", temporary=True)
        key = self._cache.key(user, password)
        if entry is not None and self._cache.holds(key, entry):
            await self._throttle.recognise(attempt)
            return None
        under_way = self._under_way.get(key)
        if under_way is None:
            if len(self._under_way) >= self._waiting:
                return Refusal(LATER, "too many logins at once", temporary=True)
            # Counted here, not in the task, which starts only after other logins have been judged.
            await self._throttle.begin(attempt)
            under_way = start_task(self._settle(entry, attempt, key, password), name="password")
            self._under_way[key] = under_way
        # The check goes on when the client leaves, so that leaving early gains nothing.
        return await asyncio.shield(under_way)

    def close(self) -> None:
        """Let go of the threads."""
        self._checker.close()

    async def _settle(
        self, entry: Entry | None, attempt: Attempt, key: bytes, password: Secret
    ) -> Refusal | None:
        """Make one check for all who ask the same at the same time, and count its outcome."""
        settle = self._throttle.failed
        try:
            right = await self._is_right(entry, password)
            if right:
                settle = self._throttle.succeeded
        except DirectoryUnavailableError as error:
            settle = self._throttle.abandoned
            return Refusal(LATER, f"directory unavailable: {error}", temporary=True)
        finally:
            del self._under_way[key]
            await settle(attempt)
        if right and entry is not None:
            self._cache.store(key, entry)
            return None
        return Refusal(WRONG, "unknown user" if entry is None else "wrong password")

    async def _is_right(self, entry: Entry | None, password: Secret) -> bool:
        if prepare(password) is None:
            # Nobody's password, and not for a directory to read; it costs a check all the same.
            return await self._checker.check((), password)
        right = await self._directory.verify_password(entry, password)
        if right is None:
            values = entry.password_values if entry is not None else ()
            right = await self._checker.check(values, password)
        return right and entry is not None
