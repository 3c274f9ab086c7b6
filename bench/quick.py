"""The quick bench: what logins, messages and idle sessions cost a server, in under a minute.

Every server runs at the same time and is measured in turn, the order rotated from round to round,
so that a busy machine is unfair to all alike. Figures are medians of the rounds, beside the ratio
to the yardstick of the row; nothing is asserted.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import idle_sessions, log_in_and_out, message_of, send_messages
from bench.peers.mailfront import Mailfront
from bench.peers.nginx import Nginx
from bench.peers.peer import MissingPeerError, Peer
from bench.peers.postfix import Postfix
from bench.processes import cpu_seconds, resident_bytes

ROUNDS = 5
LOGINS = 250
SESSIONS = 200
SMALL, SMALL_COUNT = 4 * 1024, 200
LARGE, LARGE_COUNT = 100 * 1024, 50
RECIPIENT = "alice@example.test"
NGINX = "nginx mail"


@dataclass(slots=True)
class Measurement:
    """One row of the table: figures by server name, one per round, and whom to compare with."""

    title: str
    yardstick: str
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, peer: Peer, figure: float) -> None:
        """Keep the figure of one round."""
        self.figures.setdefault(peer.name, []).append(figure)

    def medians(self) -> dict[str, float]:
        """Return the median by server name."""
        return {name: statistics.median(figures) for name, figures in self.figures.items()}


def main() -> None:
    """Start what is installed, measure in rounds, print."""
    with tempfile.TemporaryDirectory(prefix="mailfront-bench-") as name, ExitStack() as running:
        mailfront = Mailfront(Path(name))
        running.callback(mailfront.stop)
        print(f"mailfront: ready {mailfront.seconds_to_start:.2f} s after the command,")
        print(f"           {resident_bytes(mailfront.pid) / 2**20:.1f} MiB resident then")
        peers: list[Peer] = [mailfront, *others(Path(name), running)]
        print_table([*memory(peers), *rounds(peers)])


def others(directory: Path, running: ExitStack) -> list[Peer]:
    """Start the servers to compare with; say which cannot run here."""
    found: list[Peer] = []
    kinds: tuple[Callable[[Path], Peer], ...] = (Nginx, Postfix)
    for kind in kinds:
        own = Path(tempfile.mkdtemp(dir=directory))
        try:
            peer = kind(own)
        except MissingPeerError as missing:
            print(f"not compared: {missing}", file=sys.stderr)
        else:
            running.callback(peer.stop)
            found.append(peer)
    return found


def memory(peers: list[Peer]) -> list[Measurement]:
    """Measure idle sessions first: a process that has served keeps memory for later."""
    row = Measurement(f"KiB of memory per idle IMAPS session ({SESSIONS})", NGINX)
    for peer in peers:
        if peer.imaps_port:
            log_in_and_out(peer.imaps_port, peer.user, peer.password, 5)
            before = resident_bytes(peer.pid)
            with idle_sessions(peer.imaps_port, peer.user, peer.password, SESSIONS):
                row.add(peer, (resident_bytes(peer.pid) - before) / SESSIONS / 1024)
    return [row]


def rounds(peers: list[Peer]) -> list[Measurement]:
    """Measure everything else `ROUNDS` times, another server first each time."""
    logins = Measurement("CPU µs per TLS 1.3 P-256 handshake + login + logout, IMAPS", NGINX)
    small = Measurement(
        f"messages of {SMALL // 1024} KiB accepted per CPU-second, STARTTLS", Postfix.name
    )
    large = Measurement(
        f"messages of {LARGE // 1024} KiB accepted per CPU-second, STARTTLS", Postfix.name
    )
    for turn in range(ROUNDS):
        first = turn % len(peers)
        for peer in peers[first:] + peers[:first]:
            if peer.imaps_port:
                logins.add(peer, login_cost(peer))
            if peer.smtp_port:
                small.add(peer, acceptance(peer, SMALL, SMALL_COUNT))
                large.add(peer, acceptance(peer, LARGE, LARGE_COUNT))
    return [logins, small, large]


def login_cost(peer: Peer) -> float:
    """Return microseconds of the server's CPU per session."""
    before = cpu_seconds(peer.pid)
    log_in_and_out(peer.imaps_port, peer.user, peer.password, LOGINS)
    return (cpu_seconds(peer.pid) - before) / LOGINS * 1e6


def acceptance(peer: Peer, size: int, count: int) -> float:
    """Return messages accepted per second of the server's CPU."""
    before = cpu_seconds(peer.pid)
    send_messages(peer.smtp_port, RECIPIENT, message_of(size), count)
    return count / (cpu_seconds(peer.pid) - before)


def print_table(rows: list[Measurement]) -> None:
    """Print the medians, and in brackets how many times the yardstick's figure each is."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    width = max(len(row.title) for row in rows)
    print(" " * width, *(f"{name:>20}" for name in names))
    for row in rows:
        medians = row.medians()
        yardstick = medians.get(row.yardstick)
        cells = []
        for name in names:
            figure = medians.get(name)
            ratio = f" ({figure / yardstick:.2f})" if figure is not None and yardstick else ""
            cells.append(f"{'–' if figure is None else f'{figure:,.0f}{ratio}':>20}")
        print(f"{row.title:<{width}}", *cells)
