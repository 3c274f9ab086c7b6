"""One server per server root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailfront.errors import ConfigurationError
from mailfront.server.lock import ServerLock


def test_a_second_server_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "run" / "mailfront.lock"
    lock = ServerLock(path)
    with pytest.raises(ConfigurationError, match=rf"already \(pid {os.getpid()}\)"):
        ServerLock(path)
    lock.release()
    ServerLock(path).release()


def test_a_file_left_over_from_a_crash_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "mailfront.lock"
    path.write_text("4294967295\n")
    ServerLock(path).release()
    assert path.read_text() == f"{os.getpid()}\n"
