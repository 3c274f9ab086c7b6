"""Following changes while the server runs: the configuration file and the keystore.

A look once per second; SIGHUP and `mailfront reload` make it at once. What can change live swaps
a context for new connections; what cannot is reported as waiting for a restart.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.configuration.option import Effect
from mailfront.configuration.registry import REGISTRY
from mailfront.errors import OperatorError
from mailfront.interfaces.status import CertificateStatus
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.watch import KeystoreWatch
from mailfront.server.certificates import ServiceContexts, nicknames_of
from mailfront.server.expiry_watch import certificates_in_use, renew_self_signed_in_use
from mailfront.server.linked_certificates import LinkedCertificates
from mailfront.server.named_certificates import needing_attention
from mailfront.server.token_watch import TokenWatch
from mailfront.tls.pkcs11_provider import settled_provider

_log = logging.getLogger("mailfront.reload")

# What was refused is looked at again: a certificate of tomorrow is valid tomorrow.
RETRY_SECONDS = 60.0

FileIdentity = tuple[int, int, int]


class Reloader:
    """Keeps the running server in step with its server root."""

    def __init__(
        self,
        root: ServerRoot,
        configuration: Configuration,
        token: InternalToken,
        watch: KeystoreWatch,
        contexts: ServiceContexts,
        keystore: Keystore | None = None,
        *,
        leads: bool = True,
    ) -> None:
        self.problem = ""
        self.on_change: Callable[[Sequence[str]], None] = _nobody
        self.on_refusal: Callable[[Sequence[str]], None] = _nobody
        # Called in a thread, before new contexts are told of.
        self.on_keystore: Callable[[InternalToken], None] = _no_one
        # Of several workers only one renews certificates and takes over linked files.
        self._leads = leads
        self._root = root
        self._started_with = configuration
        self._current = configuration
        self._token = token
        self._keystore = keystore or Keystore(root, token)
        self._tokens = TokenWatch(root, self._keystore)
        self._database = _identity(root.certificate_database)
        self._watch = watch
        self._contexts = contexts
        self._file = _identity(root.msg_conf)
        self._one_at_a_time = asyncio.Lock()
        self._retry_at: float | None = None
        self._linked = LinkedCertificates()
        self._linked.reread(token)
        self._in_use: list[CertificateStatus] = []
        self._expiry_problem = ""

    async def look(self, *, forced: bool = False) -> None:
        """Take over what changed since the last look (`forced`: whatever it is).

        Building contexts and opening a replaced database take their time in a thread; nobody
        waits for them but the next look.
        """
        async with self._one_at_a_time:
            self._contexts.forget_overdue_ticket_keys()
            if self._leads and (linked := self._linked.changed()):
                names = await asyncio.to_thread(self._linked.take_over, linked, self._token)
                self.on_refusal(self._presenting(names))
            file = _identity(self._root.msg_conf)
            keystore_changed = self._watch.changed()
            overdue = self._retry_at is not None and time.monotonic() > self._retry_at
            overdue = overdue or self._contexts.choice_is_due(datetime.now(UTC))
            tokens = self._tokens.due(gone=self._contexts.degraded) or (
                forced and self._keystore.has_modules
            )
            if self._keystore.tokens():
                await asyncio.to_thread(settled_provider)
            if forced or keystore_changed or overdue or tokens or file != self._file:
                reread = forced or file != self._file
                self._file = file
                changed, refused = await asyncio.to_thread(
                    self._take_over, reread=reread, told=forced, tokens=tokens
                )
                self._retry_at = None
                self.on_change(changed)
                self.on_refusal(refused)
            if not (self.problem or self._contexts.problems() or self._linked.problems):
                self._retry_at = None
            elif self._retry_at is None:
                self._retry_at = time.monotonic() + RETRY_SECONDS

    def _take_over(
        self, *, reread: bool, told: bool, tokens: bool
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return the services that got a new context, and those that were refused one."""
        before = {service: slot.refusals for service, slot in self._contexts.slots.items()}
        try:
            if reread:
                self._current = load_configuration(self._root.msg_conf)
            self._reopen_if_replaced()
            self._linked.reread(self._token)
            self.on_keystore(self._token)
            self._keystore.changed()
            if tokens:
                self._tokens.look()
            changed = self._contexts.load(self._current, self._keystore, recheck=tokens)
            self._contexts.client_certificates.load(self._current, self._token)
        except OperatorError as failure:
            self._report(str(failure))
            return (), ()
        self.problem = ""
        if told or changed:
            _log.info("reloaded; new certificates for: %s", ", ".join(changed) or "none")
        if reread and (waiting := self.waiting_for_restart()):
            _log.warning("changed options wait for a restart: %s", ", ".join(waiting))
        slots = self._contexts.slots
        return changed, [name for name in slots if slots[name].refusals > before[name]]

    def _presenting(self, names: Sequence[str]) -> list[str]:
        services = self._contexts.slots
        return [one for one in services if {*names} & {*nicknames_of(self._current, one)}]

    async def look_at_certificates(self, now: datetime) -> list[CertificateStatus]:
        """The certificates in use and their dates, of those presented by name alone only those
        that need a person; renews self-signed ones of services if that is wanted.

        Where the keystore cannot be read that is a problem, and the answer is the former one.
        """
        async with self._one_at_a_time:
            try:
                self._in_use = await asyncio.to_thread(self._certificates_in_use, now)
            except OperatorError as failure:
                self._expiry_problem = str(failure)
            else:
                self._expiry_problem = ""
            return self._in_use

    def _certificates_in_use(self, now: datetime) -> list[CertificateStatus]:
        def found() -> list[CertificateStatus]:
            return certificates_in_use(self._current, self._keystore, self._contexts.slots, now)

        in_use = found()
        renews = self._leads and self._current.boolean("local.ssl.autorenewselfsigned")
        if renews and renew_self_signed_in_use(self._token, in_use, now):
            in_use = found()
        return in_use + needing_attention(self._contexts, now)

    def problems(self) -> list[str]:
        """What was not taken over: from the configuration, the keystore, or linked files."""
        known = dict.fromkeys(each for each in (self.problem, self._expiry_problem) if each)
        return [*known, *self._linked.problems, *self._keystore.module_faults()]

    def waiting_for_restart(self) -> list[str]:
        """Options changed since the start that do not take effect live."""
        return sorted(
            name
            for name in self._current.differences(self._started_with)
            if REGISTRY[name].effect is Effect.RESTART
        )

    def _reopen_if_replaced(self) -> None:
        """A database that was replaced as a whole (restored from a backup) is opened anew; one
        that was changed in place is read through the connection we have."""
        database = _identity(self._root.certificate_database)[:2]
        if database == self._database[:2]:
            return
        password = read_password(self._root.sslpassword_conf, INTERNAL_TOKEN)
        token = InternalToken.open(self._root.certificate_database, password)
        self._token.close()
        self._token = self._keystore.internal = token
        self._database = (*database, 0)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("the change is not taken over: %s", problem.replace("\n", "; "))
        self.problem = problem


def _nobody(changed: Sequence[str]) -> None:
    """Nobody wants to know."""


def _no_one(token: InternalToken) -> None:
    """Nobody wants to know."""


def _identity(path: Path) -> FileIdentity:
    """What differs when a file was replaced or rewritten; zeros if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_dev, status.st_ino, status.st_mtime_ns)
