"""imta.cnf on disk: read at the start, and again when it or a file that it includes changes.

Takes the server root, gives the `ChannelTable` in force. The files are looked at no more than once
a second, when somebody asks. A version with a fault is logged and told by `problem`; the one read
before stays in force. New connections, and mail from its next attempt on, go by the new one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from mailfront.channels.advice import advice
from mailfront.channels.imta_cnf import load_channels
from mailfront.channels.table import ChannelTable
from mailfront.configuration.home import ServerRoot
from mailfront.errors import ConfigurationError

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the files."""

_log = logging.getLogger("mailfront.channels")


class ChannelsFile:
    """The channels in force. Raises `ConfigurationError` if the file is unusable at the start."""

    def __init__(self, root: ServerRoot, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._table = load_channels(root)
        self._next_check = clock() + CHECK_INTERVAL
        self._problem = ""
        self._log_warnings()

    def problems(self) -> list[str]:
        """Why the file as it is now is not in force; none where it is."""
        self.current()
        return [self._problem] if self._problem else []

    def current(self) -> ChannelTable:
        """Return the channels in force, after a look at the files if the last one is old."""
        now = self._clock()
        if now >= self._next_check:
            self.look()
        return self._table

    def look(self) -> None:
        """Take over what changed."""
        self._next_check = self._clock() + CHECK_INTERVAL
        files = self._table.files
        if not self._problem and (
            all(file.is_current() for file in files)
            if files
            else not os.path.lexists(self._root.imta_cnf)
        ):
            return
        try:
            table = load_channels(self._root)
        except ConfigurationError as failure:
            if self._problem != str(failure):
                self._problem = str(failure)
                told = self._problem.replace("\n", "; ")
                _log.error("%s (the channels read before stay in force)", told)
            return
        changed = table.files != self._table.files
        self._table, self._problem = table, ""
        if changed:
            _log.info(
                "imta.cnf re-read: channels=%d rules=%d", len(table.channels), len(table.rules)
            )
            self._log_warnings()

    def _log_warnings(self) -> None:
        for warning in advice(self._table, self._root.imta_cnf):
            _log.warning("%s", warning)
