from __future__ import annotations

import errno
import sqlite3

import pytest

from mailfront.errors import BackendError, MailboxError
from mailfront.store.failure import storage_failures


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device", "/secret/path"),
        OSError(errno.EROFS, "Read-only file system"),
        sqlite3.OperationalError("database is locked"),
        sqlite3.DatabaseError("malformed"),
    ],
)
def test_disk_and_index_failures_are_temporary_and_name_no_path(failure: Exception) -> None:
    @storage_failures
    def work() -> None:
        raise failure

    with pytest.raises(BackendError) as raised:
        work()
    assert raised.value.temporary
    assert "/secret" not in str(raised.value)


def test_other_exceptions_and_results_pass() -> None:
    @storage_failures
    def work(value: int) -> int:
        if value < 0:
            raise MailboxError("no such mailbox", code="NONEXISTENT")
        return value

    assert work(3) == 3
    with pytest.raises(MailboxError):
        work(-1)
