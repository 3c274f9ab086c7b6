"""Measuring in rounds: every contender in turn, another one first each time, on a busy machine.

A figure of one round is compared with the yardstick's of the same round, so that whatever else the
machine did then is unfair to both alike. Tables show medians and, in brackets, the median ratio;
`bench/results/` keeps all rounds, with what they were measured on.
"""

from __future__ import annotations

import json
import os
import platform
import ssl
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.peers.peer import Peer

ROUNDS = 5
RESULTS = Path(__file__).with_name("results")


@dataclass(slots=True)
class Row:
    """One measurement: figures by server name, one per round, and whom to compare with."""

    title: str
    unit: str
    yardstick: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, figure: float) -> None:
        """Keep the figure of one round."""
        self.figures.setdefault(name, []).append(figure)

    def ratios(self, name: str) -> list[float]:
        """The figures of `name` in those of the yardstick, round by round."""
        yardstick = self.figures.get(self.yardstick, [])
        return [
            own / other
            for own, other in zip(self.figures[name], yardstick, strict=False)
            if other > 0
        ]


def measure(
    row: Row, peers: Sequence[Peer], figure: Callable[[Peer], float], rounds: int = ROUNDS
) -> Row:
    """Fill `row` with so many rounds of `figure`, and say so on standard error."""
    for turn in range(rounds):
        first = turn % len(peers)
        for peer in (*peers[first:], *peers[:first]):
            if sys.stderr.isatty():
                told = f"\r{row.title}: {turn + 1}/{rounds} {peer.name:24}"
                print(told, end="", file=sys.stderr)
            row.add(peer.name, figure(peer))
    if sys.stderr.isatty():
        print()
    return row


def print_row(row: Row) -> None:
    """Print the medians, and the ratios to the yardstick with the lowest and highest."""
    print(f"{row.title} ({row.unit})")
    for name, figures in row.figures.items():
        ratios, text = row.ratios(name), ""
        if ratios and name != row.yardstick:
            text = f"{statistics.median(ratios):6.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"  {name:24}{statistics.median(figures):12,.1f}  {text}  {row.notes.get(name, '')}")


def write_results(case: str, rows: Sequence[Row], more: Mapping[str, object]) -> Path:
    """Write all rounds to `bench/results/`; return the file."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%d-%H%M%S}-{case}.json"
    record = {
        "case": case,
        "when": now.isoformat(timespec="seconds"),
        "machine": _machine(),
        "rows": [
            {
                "title": row.title,
                "unit": row.unit,
                "yardstick": row.yardstick,
                "rounds": row.figures,
                "notes": row.notes,
            }
            for row in rows
        ],
        **more,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def _machine() -> dict[str, object]:
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "commit": _commit(),
        "packages": _packages(),
    }


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True, text=True, check=False, cwd=RESULTS.parent,
    )  # fmt: skip
    return told.stdout.strip()


def _packages() -> dict[str, str]:
    names = ("nginx", "libnginx-mod-mail", "haproxy", "stunnel4", "dovecot-core", "libssl3")
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return dict(line.split(" ", 1) for line in told.stdout.splitlines())
