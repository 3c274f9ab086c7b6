"""What is no HTTP, in the log: a line about the client, no traceback of aiohttp's parser.

Anybody can send octets that are no request; that is no fault of this server, and must not fill its
log with stacks.
"""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

_LONGEST = 120


class BadRequestFilter(logging.Filter):
    """For aiohttp's logger `aiohttp.server`: makes one line of a request that cannot be read."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Part of `logging.Filter`: the record stays, without the stack."""
        failure = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(failure, HttpProcessingError):
            reason = " ".join(failure.message.split())[:_LONGEST]
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            record.msg = f"{record.getMessage()}: {reason!r}"
            record.args = None
        return True
