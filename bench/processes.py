"""What a server costs, from /proc: CPU seconds and memory of a process and all its descendants."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Positions in /proc/PID/stat after the command in parentheses, see proc(5).
_PARENT, _UTIME, _CSTIME, _RSS = 1, 11, 14, 21


def _statistics() -> dict[int, list[str]]:
    found = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                text = (directory / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[int(directory.name)] = text.rpartition(")")[2].split()
    return found


def _tree(root: int) -> list[list[str]]:
    return list(_tree_by_process(root).values())


def _tree_by_process(root: int) -> dict[int, list[str]]:
    statistics = _statistics()
    children: dict[int, list[int]] = {}
    for process, fields in statistics.items():
        children.setdefault(int(fields[_PARENT]), []).append(process)
    found, waiting = {}, [root]
    while waiting:
        process = waiting.pop()
        found[process] = statistics[process]
        waiting += children.get(process, [])
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU time (user and system) that process `root`, its descendants and those of
    their children that have ended used so far."""
    ticks = sum(sum(map(int, fields[_UTIME : _CSTIME + 1])) for fields in _tree(root))
    return ticks / _TICKS_PER_SECOND


def seconds_in_line(process: int) -> float:
    """Return how long a process with one thread was ready to run and had no processor
    (/proc/PID/schedstat, in nanoseconds)."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


def resident_bytes(root: int) -> int:
    """Return the resident memory of process `root` and its descendants; pages that they share
    are counted for each."""
    return sum(int(fields[_RSS]) * _PAGE for fields in _tree(root))


def proportional_bytes(root: int) -> int:
    """Return the proportional set size of process `root` and its descendants: of pages that they
    share, each counts its part."""
    kib = 0
    for process in _tree_by_process(root):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib * 1024
