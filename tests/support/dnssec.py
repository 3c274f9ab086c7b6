"""DNSSEC on loopback: Knot signs zones of our own, Unbound validates them with their keys as trust
anchors. Nothing of it asks anybody outside.

`signed.test` is signed, `plain.test` is not, `forged.test` is signed with a key that the resolver
does not believe.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.message
import dns.query
import dns.rcode

from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.waiting import eventually

SIGNED, PLAIN, FORGED = "signed.test", "plain.test", "forged.test"
_ZONES = (SIGNED, PLAIN, FORGED)
# A key that no zone has: the owner name alone makes it that zone's trust anchor.
_FOREIGN_KEY = (
    "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxIL"
    "fDLUT0rAK9iUzy1L53eKGQ=="
)


class DnssecSite:
    """The two servers. `records` are lines of zone files by zone, with names relative to it."""

    def __init__(self, records: Mapping[str, Sequence[str]]) -> None:
        self._records = records
        self._home = Path(tempfile.mkdtemp(prefix="mailfront-dnssec-"))
        self._home.chmod(0o755)
        self._authority_port, self.port = free_ports(2)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def resolver(self) -> str:
        """The resolver, as the option dns.servers has it."""
        return f"{LOOPBACK}#{self.port}"

    def __enter__(self) -> Self:
        try:
            self._start_authority()
            self._start_resolver()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _start_authority(self) -> None:
        zones = self._home / "zones"
        zones.mkdir()
        stanzas = ""
        for zone in _ZONES:
            (zones / f"{zone}.zone").write_text(self._zone(zone))
            signing = "off" if zone == PLAIN else "on"
            stanzas += (
                f"  - domain: {zone}\n    file: {zones}/{zone}.zone\n"
                f"    dnssec-signing: {signing}\n"
                "    zonefile-sync: -1\n    journal-content: none\n"
            )
        configuration = self._home / "knot.conf"
        configuration.write_text(
            f"server:\n  rundir: {self._home}\n  listen: {LOOPBACK}@{self._authority_port}\n"
            "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
            f"log:\n  - target: {self._home}/knot.log\n    any: info\n"
            f"database:\n  storage: {self._home}\n"
            f"zone:\n{stanzas}"
        )
        self._run("knotd", "-c", str(configuration), package="knot")
        eventually(
            lambda: all(self._answers(self._authority_port, zone) for zone in _ZONES),
            "knotd does not serve its zones",
        )

    def _start_resolver(self) -> None:
        key = self._key_of(SIGNED)
        stubs = "".join(
            f'stub-zone:\n  name: "{zone}."\n  stub-addr: {LOOPBACK}@{self._authority_port}\n'
            for zone in _ZONES
        )
        configuration = self._home / "unbound.conf"
        configuration.write_text(
            f"server:\n  interface: {LOOPBACK}@{self.port}\n  do-daemonize: no\n  use-syslog: no\n"
            f'  logfile: "{self._home}/unbound.log"\n  verbosity: 1\n  username: ""\n'
            f'  chroot: ""\n  directory: "{self._home}"\n  pidfile: "{self._home}/unbound.pid"\n'
            "  do-not-query-localhost: no\n  num-threads: 1\n  msg-cache-size: 1m\n"
            '  rrset-cache-size: 1m\n  do-ip6: no\n  local-zone: "test." nodefault\n'
            '  module-config: "validator iterator"\n'
            f'  trust-anchor: "{SIGNED}. DNSKEY {key}"\n'
            f'  trust-anchor: "{FORGED}. DNSKEY {_FOREIGN_KEY}"\n'
            f"remote-control:\n  control-enable: no\n{stubs}"
        )
        self._run("unbound", "-d", "-c", str(configuration))
        eventually(lambda: self._answers(self.port, SIGNED), "unbound does not answer")

    def _zone(self, zone: str) -> str:
        head = (
            f"$ORIGIN {zone}.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\n"
            f"ns A {LOOPBACK}\n"
        )
        return head + "".join(f"{line}\n" for line in self._records.get(zone, ()))

    def _key_of(self, zone: str) -> str:
        query = dns.message.make_query(f"{zone}.", "DNSKEY")
        found = dns.query.tcp(query, LOOPBACK, timeout=10, port=self._authority_port)
        keys = [str(record) for rrset in found.answer for record in rrset]
        return next(key for key in keys if key.startswith("257 "))

    def _answers(self, port: int, zone: str) -> bool:
        try:
            query = dns.message.make_query(f"{zone}.", "SOA")
            answer = dns.query.tcp(query, LOOPBACK, timeout=5, port=port)
        except (OSError, EOFError, dns.exception.DNSException):
            return False
        return bool(answer.rcode() == dns.rcode.NOERROR and answer.answer)

    def _run(self, program: str, *arguments: str, package: str = "") -> None:
        with (self._home / f"{program}.output").open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    [require_program(program, package or program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )

    def _stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self._home, ignore_errors=True)
