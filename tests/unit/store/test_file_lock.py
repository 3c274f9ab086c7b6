from __future__ import annotations

import threading
from pathlib import Path

from mailfront.store.file_lock import ExclusiveLock, locked


def test_an_exclusive_lock_is_refused_to_the_second(tmp_path: Path) -> None:
    first = ExclusiveLock.try_acquire(tmp_path / "lock")
    assert first is not None
    assert ExclusiveLock.try_acquire(tmp_path / "lock") is None
    first.release()
    first.release()
    second = ExclusiveLock.try_acquire(tmp_path / "lock")
    assert second is not None
    second.release()


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def other() -> None:
        waiting.set()
        with locked(tmp_path / "lock"):
            order.append("second")

    with locked(tmp_path / "lock"):
        thread = threading.Thread(target=other)
        thread.start()
        waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
