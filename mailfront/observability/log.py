"""Where log lines go: standard error or a file in the server root, one line each.

Under systemd the journal has its own time stamps, so ours are left out when standard error is
connected to it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import time
from pathlib import Path

# The original's level names (nslog) and what they are in Python's logging.
LEVELS = {
    "Nolog": logging.CRITICAL + 10,
    "Emergency": logging.CRITICAL,
    "Alert": logging.CRITICAL,
    "Critical": logging.CRITICAL,
    "Error": logging.ERROR,
    "Warning": logging.WARNING,
    "Notice": logging.INFO,
    "Information": logging.INFO,
    "Debug": logging.DEBUG,
}


def start_logging(level: str, file: Path | None) -> None:
    """Send log lines of `level` (one of `LEVELS`) and above to `file`, or to standard error.

    A file is appended to, mode 0600, and opened anew when it was renamed (log rotation). Raises
    `OSError` if it cannot be opened.
    """
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        handler = logging.handlers.WatchedFileHandler(file)
    in_journal = file is None and "JOURNAL_STREAM" in os.environ
    handler.setFormatter(OneLineFormatter(stamped=not in_journal))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(LEVELS[level])
    # Our lines name none of these, and looking them up costs more than writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # These libraries write every line of a dialogue at low levels; passwords are among them.
    for library in ("mail.log", "mail.debug", "asyncio", "aiohttp"):
        logging.getLogger(library).setLevel(logging.WARNING)


class OneLineFormatter(logging.Formatter):
    """`time level logger: message`; line breaks in a message are escaped, a stack follows it."""

    default_msec_format = "%s.%03d"

    def __init__(self, *, stamped: bool) -> None:
        super().__init__(
            ("%(asctime)s " if stamped else "") + "%(levelname)s %(name)s: %(message)s"
        )
        # The last second that was written, and how.
        self._second: tuple[int, str] = (0, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """The time of a record; many lines are of the same second."""
        created = int(record.created)
        second, text = self._second
        if second != created:
            text = time.strftime(self.default_time_format, self.converter(created))
            self._second = created, text
        return self.default_msec_format % (text, record.msecs)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Escape what could forge a second line."""
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)
