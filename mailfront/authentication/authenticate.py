"""Password login: the `Authenticator` behind every front.

Takes a login name and a password, looks the user up, asks the throttle, has the password checked
(by the directory, or off the event loop), judges the account, and returns an `Identity` or a
`Refusal`. A directory that does not answer is a temporary refusal, and no failed attempt.

What a stranger can measure: every failure, of whatever cause, is answered a fixed time (and a
little chance, and the throttle's delay) after it came, and costs one argon2id; a refusal by the
throttle or for want of room costs nothing and is answered in the same time. Success is answered
at once. What the log shows: the name of users that exist; for any other name, which may be a
password typed into the wrong field, a digest under a random key of this process, so that
repetitions can be seen and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable

from mailfront.authentication.access import judge_access
from mailfront.authentication.login_cache import LoginCache
from mailfront.authentication.password import PasswordChecker
from mailfront.authentication.throttle import Attempt, Throttle
from mailfront.directory.directory import Directory
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.authenticator import Identity, Refusal
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.interfaces.tasks import start_task
from mailfront.protocol.mail_address import unicode_address

FAILURE_TIME = 0.5
"""Seconds from an attempt to the answer that it failed, before any delay by the throttle."""

FAILURE_JITTER = 0.25
"""Up to so many seconds more."""

MAXIMUM_LOGIN_CHARACTERS = 1024

MAXIMUM_CHECKS = 512
"""More passwords than these are not checked at a time."""

_WRONG = "Invalid user name or password."
_LATER = "Temporarily unavailable; try again later."
_log = logging.getLogger("mailfront.authentication")


class PasswordAuthenticator:
    """Implements `interfaces.authenticator.Authenticator` over a directory.

    At most `waiting` passwords are checked or wait for it; `failure_time` and `failure_jitter`
    are in seconds. `close` when the server stops.
    """

    def __init__(
        self,
        directory: Directory,
        default_domain: str,
        *,
        throttle: Throttle | None = None,
        cache: LoginCache | None = None,
        checker: PasswordChecker | None = None,
        waiting: int = MAXIMUM_CHECKS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        failure_time: float = FAILURE_TIME,
        failure_jitter: float = FAILURE_JITTER,
    ) -> None:
        self._directory = directory
        self._default_domain = default_domain
        self._throttle = throttle or Throttle(clock=clock)
        self._cache = cache or LoginCache(clock=clock)
        self._checker = checker or PasswordChecker()
        self._waiting = waiting
        self._clock = clock
        self._sleep = sleep
        self._log_secret = secrets.token_bytes(32)
        self._failure_time = failure_time
        self._failure_jitter = failure_jitter
        self._under_way: dict[bytes, asyncio.Task[Refusal | None]] = {}

    async def authenticate(
        self, service: str, login: str, password: Secret, peer: Peer, method: str
    ) -> Identity | Refusal:
        """Check `login` and `password`; see the interface."""
        started = self._clock()
        try:
            entry = await self._entry(login)
        except DirectoryUnavailableError as error:
            # Nothing is known of any user: there is nothing to count and nothing to hide.
            _log.warning(
                "login not possible service=%s peer=%s method=%s reason=directory unavailable: %s",
                service, peer, method, error,
            )  # fmt: skip
            return Refusal(_LATER, "directory unavailable", temporary=True)
        user = entry.user if entry is not None else self._full_name(login)
        attempt = self._throttle.judge(peer.address, user)
        key = self._cache.key(user, password)
        refusal = await self._refusal(entry, attempt, key, password)
        if refusal is None:
            assert entry is not None
            refusal = judge_access(entry, service, peer)
            if refusal is None:
                return _identity(entry, method)
        _log.info(
            "login refused service=%s peer=%s user=%s method=%s reason=%s",
            service, peer, self._name_for_log(entry, login), method, refusal.reason,
        )  # fmt: skip
        await self._wait(started, attempt)
        return refusal

    def close(self) -> None:
        """Let go of the threads."""
        self._checker.close()

    async def _entry(self, login: str) -> Entry | None:
        if len(login) > MAXIMUM_LOGIN_CHARACTERS:
            return None
        entry = await self._directory.entry_for_login(login, self._default_domain)
        if entry is None or entry.status is AccountStatus.DELETED:
            return None
        return entry

    def _name_for_log(self, entry: Entry | None, login: str) -> str:
        if entry is not None:
            return entry.user
        name = login[:MAXIMUM_LOGIN_CHARACTERS].encode(errors="surrogatepass")
        return "unknown:" + hashlib.blake2s(name, key=self._log_secret, digest_size=4).hexdigest()

    def _full_name(self, login: str) -> str:
        name = login[:MAXIMUM_LOGIN_CHARACTERS].lower()
        return name if "@" in name else f"{name}@{self._default_domain}"

    async def _refusal(
        self, entry: Entry | None, attempt: Attempt, key: bytes, password: Secret
    ) -> Refusal | None:
        """Return why the password is not taken, or None where it is right."""
        if attempt.refused:
            return Refusal(_LATER, "throttled", temporary=True)
        if entry is not None and self._cache.holds(key, entry):
            self._throttle.recognise(attempt)
            return None
        under_way = self._under_way.get(key)
        if under_way is None:
            if len(self._under_way) >= self._waiting:
                return Refusal(_LATER, "too many logins at once", temporary=True)
            # Counted here, not in the task, which starts only after other logins have been judged.
            self._throttle.begin(attempt)
            under_way = start_task(self._settle(entry, attempt, key, password), name="password")
            self._under_way[key] = under_way
        # The check goes on when the client leaves, so that leaving early gains nothing.
        return await asyncio.shield(under_way)

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
            return Refusal(_LATER, f"directory unavailable: {error}", temporary=True)
        finally:
            del self._under_way[key]
            settle(attempt)
        if right and entry is not None:
            self._cache.store(key, entry)
            return None
        return Refusal(_WRONG, "unknown user" if entry is None else "wrong password")

    async def _is_right(self, entry: Entry | None, password: Secret) -> bool:
        right = await self._directory.verify_password(entry, password)
        if right is None:
            values = entry.password_values if entry is not None else ()
            right = await self._checker.check(values, password)
        return right and entry is not None

    async def _wait(self, started: float, attempt: Attempt) -> None:
        until = started + self._failure_time + attempt.delay
        until += random.uniform(0, self._failure_jitter)  # noqa: S311
        await self._sleep(max(until - self._clock(), 0))


def _identity(entry: Entry, method: str) -> Identity:
    # Senders write a domain in either form, and a front compares texts.
    spellings = entry.addresses | {unicode_address(address) for address in entry.addresses}
    return Identity(entry.user, spellings, method, mail_host=entry.mail_host)
