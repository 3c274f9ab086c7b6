"""Disk and index failures as the one exception that the protocols answer: `BackendError`.

A full disk, a read-only file system or a locked index is temporary for the client; the details go
to the log, since a path is no business of the peer.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mailfront.errors import BackendError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_log = logging.getLogger("mailfront.store")


def storage_failures(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Turn `OSError` and `sqlite3.Error` that leave `function` into a temporary `BackendError`."""

    @functools.wraps(function)
    def guarded(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        try:
            return function(*arguments, **named)
        except OSError as failure:
            _log.error("store operation=%s failed: %s", function.__name__, failure)
            raise BackendError(
                f"mail storage: {failure.strerror or 'input/output failed'}", temporary=True
            ) from failure
        except sqlite3.Error as failure:
            _log.error("store operation=%s index: %s", function.__name__, failure)
            raise BackendError("mail storage: the index is not usable now", temporary=True) from (
                failure
            )

    return guarded
