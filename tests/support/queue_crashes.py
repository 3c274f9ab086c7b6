"""A server killed again and again at random moments while users send through it: what was
acknowledged must arrive.

    python -m tests.support.queue_crashes MESSAGES SECONDS DIRECTORY    thousands, by hand
"""

from __future__ import annotations

import contextlib
import random
import smtplib
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import server as server_processes
from tests.support.mail_receiver import MailReceiver
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer, make_server_root
from tests.support.waiting import eventually

SENDERS = 4
# So that there are many kills among the messages.
PAUSE_SECONDS = 0.02
RETRY_OPTIONS = {"queue.firstretry": "1", "queue.longestretry": "2"}


def send_everything_to(server_root: Path, port: int, keywords: str = "maytls") -> None:
    """Write the imta.cnf by which all foreign mail goes to a port of loopback."""
    (server_root / "config" / "imta.cnf").write_text(
        f".   $U%$H@tcp-daemon\n\nl\nlocalhost\n\n"
        f"tcp_local smtp nomx daemon {LOOPBACK} port {port} {keywords}\ntcp-daemon\n"
    )


@dataclass
class Campaign:
    """What happened: subjects that were acknowledged, how often the server was killed, and what
    the receiver took."""

    acknowledged: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    kills: int = 0
    taken: Counter[str] = field(default_factory=Counter)

    @property
    def lost(self) -> list[str]:
        return sorted(self.acknowledged - set(self.taken))

    @property
    def duplicates(self) -> int:
        """How many copies more than one there were of messages that were acknowledged."""
        return sum(self.taken[each] - 1 for each in self.acknowledged if each in self.taken)

    def __str__(self) -> str:
        return (
            f"{len(self.acknowledged)} acknowledged, {len(self.unanswered)} unanswered, "
            f"{self.kills} kills, {len(self.lost)} lost, {self.duplicates} duplicates, "
            f"{len(set(self.taken) - self.acknowledged)} of the unanswered arrived"
        )


class _Sender(threading.Thread):
    """Sends one message after the other, whatever happens to the server."""

    def __init__(self, name: str, server: MailServer, campaign: Campaign, most: int) -> None:
        super().__init__(name=name, daemon=True)
        self._server = server
        self._campaign = campaign
        self._most = most
        self.stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stopped.is_set() and len(self._campaign.acknowledged) < self._most:
            with contextlib.suppress(OSError, smtplib.SMTPException), self._session() as session:
                while len(self._campaign.acknowledged) < self._most:
                    number += 1
                    self._send(session, f"{self.name}-{number}", number)
            self.stopped.wait(0.05)

    @contextlib.contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        port = self._server.ports["submissions"]
        session = smtplib.SMTP_SSL(LOOPBACK, port, timeout=30, context=context)
        try:
            session.login(ALICE, self._server.password(ALICE))
            yield session
        finally:
            session.close()

    def _send(self, session: smtplib.SMTP, subject: str, number: int) -> None:
        body = "x" * random.choice((10, 1000, 60_000))
        recipients = [f"user{number % 7}@there.example"]
        try:
            session.sendmail(ALICE, recipients, f"Subject: {subject}\r\n\r\n{body}\r\n")
        except BaseException:
            self._campaign.unanswered.add(subject)
            raise
        self._campaign.acknowledged.add(subject)
        time.sleep(PAUSE_SECONDS)


def run_campaign(
    server: MailServer,
    receiver: MailReceiver,
    messages: int,
    *,
    most_seconds: float,
    longest_life: float = 1.0,
) -> Campaign:
    """Kill and start the server until so many messages are acknowledged or the time is over; then
    wait until all of them have arrived."""
    campaign = Campaign()
    server.start()
    senders = [_Sender(f"s{each}", server, campaign, messages) for each in range(SENDERS)]
    for sender in senders:
        sender.start()
    deadline = time.monotonic() + most_seconds
    try:
        while len(campaign.acknowledged) < messages and time.monotonic() < deadline:
            time.sleep(random.uniform(0.05, longest_life))
            server.kill()
            campaign.kills += 1
            server.start()
    finally:
        for sender in senders:
            sender.stopped.set()
        for sender in senders:
            sender.join(60)
    with contextlib.suppress(AssertionError):
        eventually(lambda: campaign.acknowledged <= set(receiver.subjects()), "lost", seconds=120)
    campaign.taken = receiver.subjects()
    return campaign


def main() -> None:
    """Print the figures of a campaign."""
    messages, seconds, directory = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    # A busy machine is no failure of the queue.
    server_processes.START_DEADLINE = 300.0
    make_server_root(directory / "root")
    with MailReceiver() as receiver:
        send_everything_to(directory / "root", receiver.port)
        server = MailServer(directory / "root", RETRY_OPTIONS)
        begun = time.monotonic()
        try:
            campaign = run_campaign(
                server, receiver, messages, most_seconds=seconds, longest_life=3.0
            )
            print(campaign, f"{time.monotonic() - begun:.0f} s", server.mailfront("queue", "list"))
        finally:
            with contextlib.suppress(AssertionError):
                server.kill()


if __name__ == "__main__":
    main()
