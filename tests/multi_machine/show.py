"""Two front ends, a directory, a shared store and two mail stores, each on a machine of its own;
front ends are killed while clients are at work.

`tests/multi_machine/run` (as root) prints what happened and exits with 0 if nothing was lost: all
clients are back at the other front end within `LONGEST_GAP`, in their own mailboxes, with no login
refused, and with their TLS session resumed there.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.multi_machine.machines import (
    Machine,
    Person,
    make_front_end_root,
    start_directory,
    start_front_end,
    start_mail_store,
    start_shared_store,
)
from tests.multi_machine.network import Network, can_make_namespaces
from tests.support.issuing import Issuer

PEOPLE = 12
CLIENTS_OF_EACH = 2
# Seconds from the kill until a client works again; this machine may have much else to do.
LONGEST_GAP = 30.0
_START_DEADLINE = 120.0
_BACK_DEADLINE = 60.0

State = dict[str, Any]


@dataclass
class Report:
    """What is printed, and what went wrong."""

    problems: list[str] = field(default_factory=list)

    def line(self, text: str) -> None:
        """Print a line of the report."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def require(self, condition: bool, problem: str) -> None:
        """Note a problem unless the condition holds."""
        if not condition:
            self.problems.append(problem)
            self.line(f"  PROBLEM: {problem}")


class Show:
    """The site, and what is done to it."""

    def __init__(self, network: Network, home: Path, report: Report) -> None:
        self._network = network
        self._home = home
        self._report = report
        self._issuer = Issuer()
        self._clients: subprocess.Popen[bytes] | None = None
        self._fronts: list[Machine] = []

    def run(self) -> None:
        """Start everything, kill either front end, and judge."""
        self._start()
        self._await_shared_keys()
        self._tell("start")
        states = self._wait_for(self._all_work, _START_DEADLINE, "the first logins")
        self._report.line(f"{len(states)} clients are logged in: {self._spread(states)}")
        for number, front in enumerate(self._fronts):
            self._kill_and_judge(front, self._fronts[1 - number])
            start_front_end(front)
            self._await_port(front, 993)
            self._await_shared_keys()
        self._judge_all()

    def _start(self) -> None:
        machine = self._machine
        directory, shared = machine("directory", 20), machine("shared-store", 40)
        stores = [machine("store1", 31), machine("store2", 32)]
        client = machine("clients", 100)
        people = [
            Person(f"user{number}", f"secret of {number}", stores[number % 2].address)
            for number in range(PEOPLE)
        ]
        start_directory(directory, people, self._issuer)
        kind = start_shared_store(shared, self._issuer)
        for store in stores:
            start_mail_store(store, people, self._issuer)
        self._fronts = [machine("front1", 11), machine("front2", 12)]
        template = self._home / "template" / "root"
        template.parent.mkdir()
        make_front_end_root(template, directory.address, shared.address, self._issuer)
        for awaited, port in ((directory, 636), (shared, 6379), *((each, 993) for each in stores)):
            self._await_port(awaited, port)
        for front in self._fronts:
            shutil.copytree(template, front.home / "root")
            start_front_end(front)
        for front in self._fronts:
            self._await_port(front, 993)
        self._report.line(
            f"front1, front2, store1, store2 (Dovecot), directory (slapd) and shared store ({kind})"
            " run, each at its own address"
        )
        self._start_clients(client, people, stores)

    def _machine(self, name: str, number: int) -> Machine:
        return Machine(self._network, name, number, self._home)

    def _start_clients(self, machine: Machine, people: list[Person], stores: list[Machine]) -> None:
        names = {store.address: store.name for store in stores}
        addresses = [front.address for front in self._fronts]
        told = [
            {
                "user": person.address,
                "password": person.password,
                "expected": f"held by {names[person.store]}",
                "fronts": addresses if number % 2 == 0 else addresses[::-1],
            }
            for person in people
            for number in range(CLIENTS_OF_EACH)
        ]
        path = machine.home / "clients.json"
        path.write_text(json.dumps(told))
        command = (sys.executable, "-m", "tests.multi_machine.clients", path)
        self._clients = self._network.start(machine.name, command, machine.log, talks=True)

    def _tell(self, line: str) -> object:
        """Send the clients a line; return their answer."""
        process = self._clients
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
        answer: object = json.loads(process.stdout.readline())
        return answer

    def _states(self) -> list[State]:
        states = self._tell("states")
        assert isinstance(states, list)
        return states

    def _await_shared_keys(self) -> None:
        """The first key of all seals tickets some seconds after it was made, when every front end
        has fetched it; one that was started again fetches it first."""
        one, other = (front.address for front in self._fronts)
        deadline = time.monotonic() + _START_DEADLINE
        while not (self._tell(f"probe {one} {other}") and self._tell(f"probe {other} {one}")):
            if time.monotonic() > deadline:
                self._report.require(False, "the front ends never had the same ticket keys")
                return
            time.sleep(0.2)

    def _kill_and_judge(self, killed: Machine, other: Machine) -> None:
        report = self._report
        before = [each for each in self._states() if each["front"] == killed.address]
        moment = time.monotonic()
        killed.kill()

        def moved(states: list[State]) -> bool:
            return self._all_work(states) and all(each["front"] == other.address for each in states)

        after = self._wait_for(moved, _BACK_DEADLINE, f"the clients of {killed.name}")
        users = [(each["user"], each["logins"]) for each in before]
        back = [each for each in after if each["since"] > moment]
        gaps = [each["since"] - moment for each in back]
        resumed = sum(each["resumed"] for each in back)
        report.line(
            f"{killed.name} is killed (-9) with {len(users)} clients: {len(back)} are at "
            f"{other.name} again after {_milliseconds(statistics.median(gaps or [0]))} in the "
            f"middle, {_milliseconds(max(gaps, default=0))} at the latest; "
            f"{resumed} resumed their TLS session, {len(back) - resumed} made a new one"
        )
        report.require(bool(users), f"nobody was at {killed.name}")
        report.require(len(back) == len(users), "another number of clients moved")
        report.require(max(gaps, default=0) <= LONGEST_GAP, "a client was away too long")
        report.require(resumed == len(back), "not every TLS session was resumed")

    def _judge_all(self) -> None:
        states = self._states()
        total = {
            name: sum(each[name] for each in states)
            for name in ("logins", "refused_logins", "wrong_mailbox", "unreachable")
        }
        self._report.line(
            f"logins {total['logins']}, refused {total['refused_logins']}, in another's mailbox "
            f"{total['wrong_mailbox']}, attempts that met nobody {total['unreachable']}"
        )
        self._report.require(total["refused_logins"] == 0, "logins were refused")
        self._report.require(total["wrong_mailbox"] == 0, "mailboxes were mixed up")
        self._report.require(self._all_work(states), "some clients do not work at the end")

    def _all_work(self, states: list[State]) -> bool:
        return all(each["working"] for each in states)

    def _spread(self, states: list[State]) -> str:
        counts = {
            front.name: sum(each["front"] == front.address for each in states)
            for front in self._fronts
        }
        return ", ".join(f"{count} at {name}" for name, count in counts.items())

    def _wait_for(
        self, condition: Callable[[list[State]], bool], seconds: float, what: str
    ) -> list[State]:
        deadline = time.monotonic() + seconds
        while not condition(states := self._states()):
            if time.monotonic() > deadline:
                stuck = [each for each in states if not each["working"]]
                self._report.require(False, f"{what} did not come in time: {stuck[:3]}")
                break
            time.sleep(0.05)
        return states

    def _await_port(self, machine: Machine, port: int) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while not self._network.reaches("clients", machine.address, port):
            assert machine.process is not None
            if machine.process.poll() is not None or time.monotonic() > deadline:
                said = machine.log.read_text(errors="replace")[-2000:]
                raise SystemExit(f"{machine.name} does not answer at {port}:\n{said}")
            time.sleep(0.05)


def main() -> int:
    """Show it; 0 if nothing was lost."""
    if why := can_make_namespaces():
        sys.stderr.write(f"{why}\n")
        return 2
    home = Path(tempfile.mkdtemp(prefix="mailfront-machines-"))
    home.chmod(0o755)
    report, began = Report(), time.monotonic()
    try:
        with Network() as network:
            Show(network, home, report).run()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    seconds = time.monotonic() - began
    if report.problems:
        report.line(f"FAILED after {seconds:.0f} s: {len(report.problems)} problems")
        return 1
    report.line(f"PASSED in {seconds:.0f} s: no client lost its mailbox, its login or its session")
    return 0


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
