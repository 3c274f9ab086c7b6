"""The `Authenticator` behind every front: passwords, SCRAM, certificates and access tokens.

Takes what a client offers, finds out whose it is, judges the account, and returns an `Identity` or
a `Refusal`. A directory that does not answer is a temporary refusal, and no failed attempt. Where
the client's certificate maps to a user, that is who it is: a password of somebody else is refused
unless the service allows it, and the service may take any password for that very user. Who may act
as others (`store.admins`) names them as the authorization identity (RFC 4422 section 3.4.1).

What a stranger can measure: every failure, of whatever cause, is answered a fixed time (and a
little chance, and the throttle's delay) after it came, or a whole multiple of that time where the
check took longer; a refusal by the throttle or for want of room costs nothing and is answered in
the same time. Success is answered at once. A certificate and a token cannot be guessed, so their
failures count for the address alone and never lock an account.
What the log shows: the name of users that exist; for any other name, which may be a password typed
into the wrong field, a digest under a random key of this process, so that repetitions can be seen
and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailfront.authentication.access import judge_access
from mailfront.authentication.certificate_login import CertificateLogin, LoginRules, Mapper
from mailfront.authentication.hold import HELD, LoginHold
from mailfront.authentication.login_cache import LoginCache
from mailfront.authentication.password import PasswordChecker
from mailfront.authentication.password_login import LATER, MAXIMUM_CHECKS, WRONG, PasswordLogin
from mailfront.authentication.scram_verifier import VerifierForgery, verifier_among
from mailfront.authentication.throttle import Attempt, LoginThrottle, Throttle
from mailfront.directory.directory import Directory
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import (
    AddressError,
    DirectoryUnavailableError,
    MappingRefusedError,
    TokenRefusedError,
)
from mailfront.interfaces.authenticator import Identity, LoginClient, Refusal
from mailfront.interfaces.credentials import (
    BearerCredentials,
    CertificateCredentials,
    Credentials,
    PasswordCredentials,
    ScramCredentials,
    ScramVerifier,
)
from mailfront.interfaces.secret import Secret
from mailfront.protocol.mail_address import canonical_address, unicode_address

FAILURE_TIME = 0.5
"""Failures are answered a whole multiple of so many seconds after they came, before any delay."""

FAILURE_JITTER = 0.25
"""Up to so many seconds more."""

MAXIMUM_LOGIN_CHARACTERS = 1024
DEFAULT_ITERATIONS = 65_536

_NO_CERTIFICATE = "Your certificate does not log you in."
_NO_TOKEN = "Invalid access token."  # noqa: S105
_NOT_AS_OTHERS = "You may not act as this user."
_log = logging.getLogger("mailfront.authentication")


class TokenReader(Protocol):
    """Validates access tokens (`authentication.access_token`)."""

    async def user_of(self, token: Secret) -> str:
        """Return the login of the user to whom it was issued.

        Raises `TokenRefusedError`, and `DirectoryUnavailableError` if it cannot be told now.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Proof:
    """What became of an attempt: the `entry` of who proved it, or the `refusal`. `name` is whom
    the client named, for the log."""

    attempt: Attempt
    name: str
    entry: Entry | None = None
    refusal: Refusal | None = None
    by_certificate: bool = False


class DirectoryAuthenticator:
    """Implements `interfaces.authenticator.Authenticator` over a directory.

    `mapper` is None where no certificates are mapped, `tokens` where no issuer is configured.
    `administrators` (canonical addresses) may act as others; `rules` are by service (imta, imap,
    pop, http). `failure_time` (more than 0), `failure_jitter` and `hold_seconds`, how long logins
    of held users wait, are in seconds. `close` when the server stops.
    """

    def __init__(
        self,
        directory: Directory,
        default_domain: str,
        *,
        mapper: Mapper | None = None,
        tokens: TokenReader | None = None,
        forgery: VerifierForgery | None = None,
        administrators: Sequence[str] = (),
        rules: Mapping[str, LoginRules] | None = None,
        throttle: LoginThrottle | None = None,
        cache: LoginCache | None = None,
        checker: PasswordChecker | None = None,
        waiting: int = MAXIMUM_CHECKS,
        hold_seconds: float = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        failure_time: float = FAILURE_TIME,
        failure_jitter: float = FAILURE_JITTER,
    ) -> None:
        self._directory = directory
        self._default_domain = default_domain
        self._certificates = CertificateLogin(mapper, rules)
        self._tokens = tokens
        self._forgery = forgery or VerifierForgery(secrets.token_bytes(32), DEFAULT_ITERATIONS)
        self._administrators = frozenset(administrators)
        self._throttle = throttle or Throttle(clock=clock)
        self._passwords = PasswordLogin(
            directory,
            self._throttle,
            cache or LoginCache(clock=clock),
            checker or PasswordChecker(),
            waiting,
        )
        self._hold = LoginHold(directory, hold_seconds, clock=clock, sleep=sleep)
        self._clock = clock
        self._sleep = sleep
        self._log_secret = secrets.token_bytes(32)
        self._failure_time = failure_time
        self._failure_jitter = failure_jitter

    async def authenticate(
        self, client: LoginClient, credentials: Credentials
    ) -> Identity | Refusal:
        """Check what `client` offers; see the interface."""
        started = self._clock()
        try:
            proof = await self._proof(client, credentials)
            outcome = await self._admission(client, proof, credentials.authorization)
        except DirectoryUnavailableError as error:
            # Nothing is known of any user: there is nothing to count and nothing to hide.
            return _unavailable(client, error)
        if isinstance(outcome, Identity):
            return outcome
        _log.info(
            "login refused service=%s peer=%s user=%s method=%s reason=%s",
            client.service, client.peer, proof.name or "-", client.method, outcome.reason,
        )  # fmt: skip
        await self._wait(started, proof.attempt)
        return outcome

    async def scram_verifier(self, client: LoginClient, login: str) -> ScramVerifier | Refusal:
        """Return what a SCRAM exchange goes on with; see the interface."""
        try:
            entry = await self._entry(login)
        except DirectoryUnavailableError as error:
            return _unavailable(client, error)
        user = self._user(entry, login)
        if (await self._throttle.judge(client.peer.address, user)).refused:
            return Refusal(LATER, "throttled", temporary=True)
        found = verifier_among(entry.password_values) if entry is not None else None
        return found or self._forgery.verifier(user)

    async def certificate_holder(self, client: LoginClient) -> Identity | Refusal:
        """Return whom the certificate logs in; see the interface."""
        try:
            entry = await self._certificates.mapped(client)
        except MappingRefusedError as error:
            return Refusal(_NO_CERTIFICATE, str(error))
        except DirectoryUnavailableError as error:
            return _unavailable(client, error)
        if self._hold.holds(entry):
            return HELD
        refusal = judge_access(entry, client.service, client.peer)
        return refusal or _identity(entry, client.method, by_certificate=True)

    def accepts_certificate(self, client: LoginClient) -> bool:
        """Whether the certificate may log somebody in; see the interface."""
        return self._certificates.accepts(client)

    def close(self) -> None:
        """Let go of the threads."""
        self._passwords.close()

    async def _proof(self, client: LoginClient, credentials: Credentials) -> _Proof:
        if isinstance(credentials, CertificateCredentials):
            return await self._by_certificate(client)
        if not self._certificates.rules_of(client).password_login and not isinstance(
            credentials, PasswordCredentials
        ):
            attempt = await self._throttle.judge(client.peer.address, None)
            only = Refusal(WRONG, "only certificates are taken")
            return _Proof(attempt, "", refusal=only)
        if isinstance(credentials, BearerCredentials):
            return await self._by_token(client, credentials)
        entry = await self._entry(credentials.login)
        user = self._user(entry, credentials.login)
        name = self._name_for_log(entry, credentials.login)
        holder = await self._certificates.holder(client)
        # Last: what suspends between judging and counting lets many at once past the throttle.
        attempt = await self._throttle.judge(client.peer.address, user)
        if isinstance(credentials, ScramCredentials):
            values = entry.password_values if entry is not None else ()
            proven = credentials.proven and verifier_among(values) is not None
            refusal = self._certificates.stranger(client, entry, holder)
            if refusal is not None:
                return await self._counted_for_address(client, name, refusal)
            return _Proof(attempt, name, entry, await self._settled(attempt, proven))
        return await self._by_password(client, credentials, _Proof(attempt, name, entry), holder)

    async def _by_password(
        self,
        client: LoginClient,
        credentials: PasswordCredentials,
        named: _Proof,
        holder: Entry | None,
    ) -> _Proof:
        entry, attempt, name = named.entry, named.attempt, named.name
        rules = self._certificates.rules_of(client)
        own = entry is not None and holder is not None and entry.user == holder.user
        if rules.any_password and own:
            return _Proof(attempt, name, entry, by_certificate=True)
        if not rules.password_login:
            refusal: Refusal | None = Refusal(WRONG, "only certificates are taken")
        else:
            refusal = self._certificates.stranger(client, entry, holder)
        if refusal is not None:
            return await self._counted_for_address(client, name, refusal)
        user = self._user(entry, credentials.login)
        refusal = await self._passwords.refusal(entry, user, attempt, credentials.password)
        return _Proof(attempt, name, entry, refusal)

    async def _by_certificate(self, client: LoginClient) -> _Proof:
        try:
            entry = await self._certificates.mapped(client)
        except MappingRefusedError as error:
            refusal = Refusal(_NO_CERTIFICATE, str(error))
            return await self._counted_for_address(client, "", refusal)
        attempt = await self._throttle.judge(client.peer.address, None)
        return _Proof(attempt, entry.user, entry, by_certificate=True)

    async def _by_token(self, client: LoginClient, credentials: BearerCredentials) -> _Proof:
        try:
            entry = await self._bearer(credentials.token)
        except TokenRefusedError as error:
            reason = Refusal(_NO_TOKEN, f"token: {error}")
            return await self._counted_for_address(client, "", reason)
        holder = await self._certificates.holder(client)
        refusal = self._certificates.stranger(client, entry, holder)
        if refusal is not None:
            return await self._counted_for_address(client, entry.user, refusal)
        attempt = await self._throttle.judge(client.peer.address, None)
        return _Proof(attempt, entry.user, entry)

    async def _bearer(self, token: Secret) -> Entry:
        if self._tokens is None:
            raise TokenRefusedError("no issuer of tokens is configured")
        entry = await self._entry(await self._tokens.user_of(token))
        if entry is None:
            raise TokenRefusedError("its user is not in the directory")
        return entry

    async def _counted_for_address(
        self, client: LoginClient, name: str, refusal: Refusal
    ) -> _Proof:
        attempt = await self._throttle.judge(client.peer.address, None)
        await self._throttle.begin(attempt)
        await self._throttle.failed(attempt)
        return _Proof(attempt, name, refusal=refusal)

    async def _settled(self, attempt: Attempt, proven: bool) -> Refusal | None:
        """Count a SCRAM proof."""
        if attempt.refused:
            return Refusal(LATER, "throttled", temporary=True)
        await self._throttle.begin(attempt)
        if proven:
            await self._throttle.succeeded(attempt)
            return None
        await self._throttle.failed(attempt)
        return Refusal(WRONG, "no verifier, or another password")

    async def _admission(
        self, client: LoginClient, proof: _Proof, authorization: str
    ) -> Identity | Refusal:
        """Judge the account of who proved to be somebody, and as whom they want to act."""
        if proof.refusal is not None:
            return proof.refusal
        assert proof.entry is not None
        entry = await self._admitted(client, proof.entry)
        if isinstance(entry, Refusal):
            return entry
        if not authorization:
            return _identity(entry, client.method, by_certificate=proof.by_certificate)
        other = await self._entry(authorization)
        if other is not None and other.user == entry.user:
            return _identity(entry, client.method, by_certificate=proof.by_certificate)
        if entry.user not in self._administrators:
            reason = "acting as others is for store.admins"
            return Refusal(_NOT_AS_OTHERS, reason, authorization=True)
        if other is None:
            return Refusal(_NOT_AS_OTHERS, "acting as an unknown user", authorization=True)
        target = await self._admitted(client, other)
        if isinstance(target, Refusal):
            return target
        _log.info(
            "proxy login service=%s peer=%s user=%s acting=%s method=%s",
            client.service, client.peer, target.user, entry.user, client.method,
        )  # fmt: skip
        return _identity(
            target, client.method, acting=entry.user, by_certificate=proof.by_certificate
        )

    async def _admitted(self, client: LoginClient, entry: Entry) -> Entry | Refusal:
        """Wait out a hold; return the entry as it then is, or why its user may not go on."""
        released = await self._hold.released(entry)
        if isinstance(released, Refusal):
            return released
        return judge_access(released, client.service, client.peer) or released

    async def _entry(self, login: str) -> Entry | None:
        if len(login) > MAXIMUM_LOGIN_CHARACTERS:
            return None
        entry = await self._directory.entry_for_login(login, self._default_domain)
        if entry is None or entry.status is AccountStatus.DELETED:
            return None
        return entry

    def _user(self, entry: Entry | None, login: str) -> str:
        if entry is not None:
            return entry.user
        name = login[:MAXIMUM_LOGIN_CHARACTERS]
        name = name if "@" in name else f"{name}@{self._default_domain}"
        try:
            # As the directory reads it: all spellings of a name are one, whether it exists or not.
            return canonical_address(name)
        except AddressError:
            return name.lower()

    def _name_for_log(self, entry: Entry | None, login: str) -> str:
        if entry is not None:
            return entry.user
        name = login[:MAXIMUM_LOGIN_CHARACTERS].encode(errors="surrogatepass")
        return "unknown:" + hashlib.blake2s(name, key=self._log_secret, digest_size=4).hexdigest()

    async def _wait(self, started: float, attempt: Attempt) -> None:
        elapsed = self._clock() - started
        # A slow check (a distant directory, a costly hash) must not show how long it took.
        periods = math.floor(elapsed / self._failure_time) + 1
        until = periods * self._failure_time + attempt.delay
        until += random.uniform(0, self._failure_jitter)  # noqa: S311
        await self._sleep(until - elapsed)


def _unavailable(client: LoginClient, error: DirectoryUnavailableError) -> Refusal:
    _log.warning(
        "login not possible service=%s peer=%s method=%s reason=directory unavailable: %s",
        client.service, client.peer, client.method, error,
    )  # fmt: skip
    return Refusal(LATER, "directory unavailable", temporary=True)


def _identity(
    entry: Entry, method: str, *, acting: str = "", by_certificate: bool = False
) -> Identity:
    # Senders write a domain in either form, and a front compares texts.
    spellings = entry.addresses
    if not spellings.issuperset(further := [unicode_address(each) for each in spellings]):
        spellings = spellings.union(further)
    return Identity(entry.user, spellings, method, acting, by_certificate, entry.mail_host)
