"""The keys with which an OpenID provider signs tokens: fetched in the background, and kept.

Takes the issuer's address, or that of its key set; gives the keys. They are fetched at the start
and every hour, and when a token names a key that is not known, which happens when the issuer
changes keys, but no more than once a minute: anybody can write a key's name into a token. While the
issuer cannot be reached the keys at hand go on to count, for a day (OpenID Connect Discovery 1.0,
RFC 8414, RFC 7517). A key that cannot be read is ignored, and the others of its set count (RFC 7517
section 5).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

import aiohttp
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.tasks import start_task

REFRESH_INTERVAL = 3600.0
RETRY_INTERVAL = 30.0
LEAST_INTERVAL = 60.0
"""Seconds between two looks that tokens cause."""
KEPT_FOR = 24 * 3600.0
MAXIMUM_OCTETS = 256 * 1024
MAXIMUM_KEYS = 100
"""So many keys of a set are looked at; issuers have a handful."""
FETCH_TIMEOUT = 10.0

DISCOVERY = "/.well-known/openid-configuration"

_UNREADABLE = (
    JoseError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm
)  # fmt: skip
# A document nested too deeply is a RecursionError.
_FAULTS = (OSError, RecursionError, aiohttp.ClientError, *_UNREADABLE)
_REASON_CHARACTERS = 100

Fetch = Callable[[str], Awaitable[object]]
_log = logging.getLogger("mailfront.authentication")


def discovery_address(issuer: str) -> str:
    """Return where the configuration of `issuer` is."""
    return issuer.rstrip("/") + DISCOVERY


async def fetch_json(address: str) -> object:
    """Return the JSON document at `address`. Raises `OSError`, `ValueError`, `aiohttp.ClientError`
    or `TimeoutError`."""
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(address, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ValueError(f"HTTP status {response.status}")
        content = bytearray()
        async for piece in response.content.iter_any():
            content += piece
            if len(content) > MAXIMUM_OCTETS:
                raise ValueError("the answer is too large")
    return json.loads(content)


class IssuerKeys:
    """Implements `access_token.KeySource`. `start` once the loop runs, `close` when it ends.

    `keys_address` may be empty: then the issuer's configuration tells it.
    """

    def __init__(
        self,
        issuer: str,
        keys_address: str = "",
        *,
        fetch: Fetch = fetch_json,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = ""
        self._ignored = ""
        self._issuer = issuer
        self._keys_address = keys_address
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._looked_at: float | None = None
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to fetch in the background."""
        self._task = start_task(self._follow(), name="issuer keys")

    def close(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def keys(self) -> KeySet:
        """Return the keys known, waiting for the first. Raises `DirectoryUnavailableError`."""
        if self._keys is None:
            await self._look()
        if self._keys is None or self._clock() - self._fetched_at > KEPT_FOR:
            raise DirectoryUnavailableError(f"the keys of {self._issuer} are not known")
        return self._keys

    async def fresh_keys(self) -> KeySet:
        """Return the keys after a look for new ones, unless the last look was a moment ago."""
        await self._look()
        return await self.keys()

    async def _follow(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(RETRY_INTERVAL if self.problem else REFRESH_INTERVAL)
            self._looked_at = None

    async def _look(self) -> None:
        async with self._one_at_a_time:
            now = self._clock()
            interval = LEAST_INTERVAL if self._keys is not None else RETRY_INTERVAL
            if self._looked_at is not None and now - self._looked_at < interval:
                return
            self._looked_at = now
            try:
                keys = await self._fetched()
            except _FAULTS as fault:
                self._report(f"the keys of {self._issuer} cannot be fetched: {_reason(fault)}")
                return
            self._keys, self._fetched_at = keys, now
            self._report("")

    async def _fetched(self) -> KeySet:
        address = self._keys_address
        if not address:
            configuration = await self._fetch(discovery_address(self._issuer))
            if not isinstance(configuration, dict) or configuration.get("issuer") != self._issuer:
                raise ValueError("its configuration names another issuer")
            address = str(configuration["jwks_uri"])
            if address.startswith("https://") < self._issuer.startswith("https://"):
                raise ValueError("its keys are not behind https")
        document = await self._fetch(address)
        if not isinstance(document, dict):
            raise TypeError("that is no key set")
        keys, ignored = _imported(document["keys"])
        self._report_ignored(ignored)
        return keys

    def _report_ignored(self, ignored: str) -> None:
        if ignored and ignored != self._ignored:
            _log.warning("of the keys of %s %s", self._issuer, ignored)
        self._ignored = ignored

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem


def _imported(described: object) -> tuple[KeySet, str]:
    """Return the keys of a set, and what is to be told of those that are ignored.

    Raises `TypeError` and `ValueError` if there is none that can be used.
    """
    if not isinstance(described, list):
        raise TypeError("that is no key set")
    keys: list[Key] = []
    reasons: list[str] = []
    for each in described[:MAXIMUM_KEYS]:
        try:
            key = JWKRegistry.import_key(each)
            key.ensure_kid()
        except _UNREADABLE as fault:
            reasons.append(repr(_reason(fault)[:_REASON_CHARACTERS]))
        else:
            keys.append(key)
    if len(described) > MAXIMUM_KEYS:
        reasons.append(f"more than {MAXIMUM_KEYS} keys")
    if not keys:
        raise ValueError(f"no key can be used: {reasons[0]}" if reasons else "there is no key")
    count = len(described) - len(keys)
    return KeySet(keys), f"{count} cannot be used: {reasons[0]}" if count else ""


def _reason(fault: BaseException) -> str:
    return str(fault) or type(fault).__name__
