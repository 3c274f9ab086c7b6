"""Following changes while the server runs: the configuration file and the keystore.

A look once per second; SIGHUP and `mailfront reload` make it at once. What can change live swaps
a context for new connections; what cannot is reported as waiting for a restart.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.configuration.option import Effect
from mailfront.configuration.registry import REGISTRY
from mailfront.errors import OperatorError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.watch import KeystoreWatch
from mailfront.server.certificates import ServiceContexts

_log = logging.getLogger("mailfront.reload")

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
    ) -> None:
        self.problem = ""
        self._root = root
        self._started_with = configuration
        self._current = configuration
        self._token = token
        self._database = _identity(root.certificate_database)
        self._watch = watch
        self._contexts = contexts
        self._file = _identity(root.msg_conf)
        self._one_at_a_time = asyncio.Lock()

    async def look(self, *, forced: bool = False) -> None:
        """Take over what changed since the last look (`forced`: whatever it is).

        Building contexts and opening a replaced database take their time in a thread; nobody
        waits for them but the next look.
        """
        async with self._one_at_a_time:
            file = _identity(self._root.msg_conf)
            keystore_changed = self._watch.changed()
            if forced or keystore_changed or file != self._file:
                reread = forced or file != self._file
                self._file = file
                await asyncio.to_thread(self._take_over, reread=reread, told=forced)

    def _take_over(self, *, reread: bool, told: bool) -> None:
        try:
            if reread:
                self._current = load_configuration(self._root.msg_conf)
            self._reopen_if_replaced()
            changed = self._contexts.load(self._current, self._token)
        except OperatorError as failure:
            self._report(str(failure))
            return
        self.problem = ""
        if told or changed:
            _log.info("reloaded; new certificates for: %s", ", ".join(changed) or "none")
        if reread and (waiting := self.waiting_for_restart()):
            _log.warning("changed options wait for a restart: %s", ", ".join(waiting))

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
        self._token = token
        self._database = (*database, 0)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("the change is not taken over: %s", problem.replace("\n", "; "))
        self.problem = problem


def _identity(path: Path) -> FileIdentity:
    """What differs when a file was replaced or rewritten; zeros if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_dev, status.st_ino, status.st_mtime_ns)
