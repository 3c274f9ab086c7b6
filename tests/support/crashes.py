"""Processes killed in the middle of their work, at each step of it in turn."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import NamedTuple

KILLED = 9
STEPS = frozenset(
    {"fsync", "fdatasync", "rename", "link", "unlink", "utime", "write", "open", "execute"}
    | {"executemany"}
)


class Killed(NamedTuple):
    """A process that was killed before its step number `step`, or ran to its end."""

    step: int
    finished: bool


def killed_before_each_step(
    work: Callable[[], None], runners_threads: Collection[threading.Thread]
) -> Iterator[Killed]:
    """Run `work` in a process of its own again and again, killed before its first, second, …
    call into the operating system or the index, until it comes to its end.

    `runners_threads` are those that ran before the test began.
    """
    for step in range(1, 400):
        # A lock that another thread holds at the fork would never be released in the child. The
        # threads of the test runner hold none that `work` needs.
        running = set(threading.enumerate()).difference(runners_threads)
        assert not running, "close every store before the next step"
        child = os.fork()
        if child == 0:
            left = step

            def count(frame: FrameType, event: str, argument: object) -> None:
                nonlocal left
                if event == "c_call" and getattr(argument, "__name__", "") in STEPS:
                    left -= 1
                    if left == 0:
                        os._exit(KILLED)

            sys.setprofile(count)
            try:
                work()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, KILLED)
        yield Killed(step, finished=status == 0)
        if status == 0:
            return
    raise AssertionError("the work has too many steps")
