"""A real Dovecot on loopback, configured here: IMAP and POP3, users, a master user.

It is started in a directory outside pytest's, which Dovecot's unprivileged processes cannot enter,
and stopped by its process id. TLS is offered where a certificate is given.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports

MASTER = "front"
START_DEADLINE = 20.0
# uid and gid of Debian's nobody, as whom the mail processes run.
_UNPRIVILEGED = 65534


class Dovecot:
    """One server. `users` are addresses and passwords; `ports` are known once it runs."""

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        master_password: str = "master-secret",
        certificate: Path | None = None,
        key: Path | None = None,
        extra: str = "",
    ) -> None:
        self._program = require_program("dovecot", "dovecot-imapd")
        self.home = Path(tempfile.mkdtemp(prefix="mailfront-dovecot-"))
        self.master_password = master_password
        self.ports: dict[str, int] = {}
        self._users = dict(users)
        self._tls = (certificate, key)
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

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
        path = self.home / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """The process id of its master process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers; on the same ports as before, if it ran before."""
        if not self.ports:
            self.ports = dict(zip(("imap", "pop", "imaps", "pops"), free_ports(4), strict=True))
            self._write_configuration()
        self._process = subprocess.Popen(
            [self._program, "-F", "-c", self.home / "dovecot.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_DEADLINE
        while not self._answers():
            assert self._process.poll() is None, f"Dovecot ended at once\n{self.log}"
            assert time.monotonic() < deadline, f"Dovecot does not answer\n{self.log}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and everything it started."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would: every process at once, without a word."""
        self._end(signal.SIGKILL)

    def maildir(self, user: str) -> Path:
        """Where the mail of a user lies."""
        return self.home / "mail" / user

    def deliver(self, user: str, message: bytes) -> None:
        """Put a message (with CRLF) into a user's INBOX."""
        new = self.maildir(user) / "new"
        for name in ("cur", "new", "tmp"):
            (self.maildir(user) / name).mkdir(parents=True, exist_ok=True)
        count = len(list(new.iterdir()))
        path = new / f"{time.time_ns()}.{count}.test"
        path.write_bytes(message)
        self._give(self.home / "mail")

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # Its children are in its process group, and in nobody else's.
        os.killpg(process.pid, number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _answers(self) -> bool:
        for name in ("imap", "pop"):
            try:
                with socket.create_connection((LOOPBACK, self.ports[name]), timeout=5) as client:
                    if not client.recv(1):
                        return False
            except OSError:
                return False
        return True

    def _give(self, path: Path) -> None:
        if os.getuid() == 0:
            for each in (path, *path.rglob("*")):
                os.chown(each, _UNPRIVILEGED, _UNPRIVILEGED)

    def _write_configuration(self) -> None:
        root = os.getuid() == 0
        self.home.chmod(0o755)
        (self.home / "mail").mkdir()
        self._give(self.home / "mail")
        entries = [f"{user}:{{PLAIN}}{password}\n" for user, password in self._users.items()]
        (self.home / "users").write_text("".join(entries))
        (self.home / "masters").write_text(f"{MASTER}:{{PLAIN}}{self.master_password}\n")
        user = "nobody" if root else str(os.getuid())
        certificate, key = self._tls
        tls = (
            f"ssl = yes\nssl_cert = <{certificate}\nssl_key = <{key}\n"
            if certificate
            else "ssl = no\n"
        )
        (self.home / "dovecot.conf").write_text(
            f"""\
base_dir = {self.home}/run
log_path = {self.home}/dovecot.log
auth_verbose = yes
protocols = imap pop3
listen = {LOOPBACK}
{tls}\
disable_plaintext_auth = no
login_trusted_networks = 127.0.0.0/8
auth_mechanisms = plain login
auth_username_format = %Lu
mail_location = maildir:{self.home}/mail/%u
mail_uid = {_UNPRIVILEGED if root else os.getuid()}
mail_gid = {_UNPRIVILEGED if root else os.getgid()}
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {"nogroup" if root else os.getgid()}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.ports["imap"]}
  }}
  inet_listener imaps {{
    port = {self.ports["imaps"] if certificate else 0}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.ports["pop"]}
  }}
  inet_listener pop3s {{
    port = {self.ports["pops"] if certificate else 0}
  }}
}}
service stats {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {self.home}/masters
  master = yes
}}
passdb {{
  driver = passwd-file
  args = username_format=%Lu {self.home}/users
}}
userdb {{
  driver = static
  args = home={self.home}/mail/%u
}}
{self._extra}
"""
        )
