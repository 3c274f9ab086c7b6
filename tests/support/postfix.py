"""A real Postfix on loopback, configured here: takes mail and holds it, nothing leaves the machine.

It trusts what XCLIENT says, from loopback only, and lets those relay whose login XCLIENT names.
Needs root, as Postfix changes to its own user; stopped by its own command or by process group.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.waiting import eventually

_SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance. `port` speaks SMTP (STARTTLS with a certificate), `smtps_port` TLS at once."""

    def __init__(
        self,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        extra: str = "",
        services: str = "",
    ) -> None:
        """`extra` are lines for main.cf, `services` such for master.cf."""
        self._program = require_program("postfix")
        if os.geteuid() != 0:
            pytest.skip("Postfix needs root")
        self.home = Path(tempfile.mkdtemp(prefix="mailfront-postfix-"))
        # Postfix's own user must reach the queue below; what is private has modes of its own.
        self.home.chmod(0o711)
        self.port, self.smtps_port = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self._write_configuration(certificate, key, extra)
        with (self._configuration / "master.cf").open("a") as master:
            master.write(services)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.home / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.home / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "-c", self._configuration, "start-fg"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        eventually(self._runs, f"Postfix does not run\n{self.log}")

    def stop(self) -> None:
        """Stop it and everything it started."""
        if self._process is None:
            return
        subprocess.run(
            [self._program, "-c", self._configuration, "stop"],
            capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        self._end()

    def kill_sessions(self) -> None:
        """End the processes that hold connections as a crash would; new ones come at once."""
        self.signal_sessions(signal.SIGKILL)

    def signal_sessions(self, number: signal.Signals) -> None:
        """Send a signal to the processes that hold connections."""
        for pid in self._processes("smtpd"):
            os.kill(pid, number)

    def kill(self) -> None:
        """End it as a crash would: every process at once, without a word."""
        assert self._process is not None
        for pid in self._processes(""):
            os.kill(pid, signal.SIGKILL)
        self._end()

    def held(self) -> list[bytes]:
        """The queue files of all messages that it took."""
        return [path.read_bytes() for path in sorted((self.home / "queue/hold").iterdir())]

    def message(self, content: bytes) -> bytes:
        """The one held message that contains `content`, as postcat prints it."""
        found = [
            path for path in (self.home / "queue/hold").iterdir() if content in path.read_bytes()
        ]
        assert len(found) == 1, found
        return subprocess.run(
            [require_program("postcat", "postfix"), "-c", self._configuration, found[0]],
            capture_output=True, check=True, timeout=30,
        ).stdout  # fmt: skip

    @property
    def _configuration(self) -> Path:
        return self.home / "postfix"

    def _runs(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Postfix ended at once\n{self.log}"
        return bool(self._processes("qmgr"))

    def _processes(self, name: str) -> list[int]:
        """Its processes of that name: those that its master started."""
        pid_file = self.home / "queue/pid/master.pid"
        if not pid_file.exists() or not (text := pid_file.read_text().strip()):
            return []
        master = int(text)
        found = [] if name else [master]
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                program, _, rest = status.read_text().rpartition(") ")
            except OSError:
                continue
            if int(rest.split()[1]) == master and program.partition("(")[2].startswith(name):
                found.append(int(status.parent.name))
        return found

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        deadline = time.monotonic() + 5
        while self._processes("") and time.monotonic() < deadline:
            if not Path(f"/proc/{self._processes('')[0]}").exists():
                break
            time.sleep(0.05)

    def _write_configuration(self, certificate: Path | None, key: Path | None, extra: str) -> None:
        for each in (self._configuration, self.home / "queue", self.home / "data"):
            each.mkdir()
        shutil.chown(self.home / "data", "postfix")
        tls = (
            f"smtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\n"
            "smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n"
            if certificate
            else ""
        )
        # The mechanism's own plugin is never asked: XCLIENT names who logged in at the front.
        (self._configuration / "sasl").mkdir()
        (self._configuration / "sasl/smtpd.conf").write_text(
            f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n"
            f"sasldb_path: {self.home}/sasldb2\n"
        )
        (self._configuration / "main.cf").write_text(
            f"""\
compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
myhostname = mta.example.test
mydestination = example.test
mynetworks = 192.0.2.99
inet_protocols = ipv4
inet_interfaces = {LOOPBACK}
alias_maps =
alias_database =
local_recipient_maps = inline:{{alice@example.test=x, bob@example.test=x, carol@example.test=x}}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
cyrus_sasl_config_path = {self._configuration}/sasl
smtpd_authorized_xclient_hosts = {LOOPBACK}
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_data_restrictions = check_client_access static:HOLD
smtpd_client_connection_rate_limit = 0
smtputf8_enable = yes
message_size_limit = 20000000
maillog_file = {self.home}/mail.log
maillog_file_prefixes = {self.home}
{tls}{extra}
"""
        )
        smtps = f"{LOOPBACK}:{self.smtps_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
        (self._configuration / "master.cf").write_text(
            f"{LOOPBACK}:{self.port} inet n - n - - smtpd\n"
            + (smtps if certificate else "")
            + _SERVICES
        )
