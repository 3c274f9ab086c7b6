"""Dovecot as IMAP proxy on IMAPS, in the mode its documentation calls high-performance: one login
process that serves all connections, and an auth process whose passdb sends everybody to the stub.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from string import Template

from bench.peers.imap_stub import ImapStub
from bench.peers.peer import MissingPeerError, end, program, wait_for_port
from tests.support.ports import LOOPBACK, free_ports

_CONFIGURATION = Template("""\
base_dir = $directory/run
log_path = $directory/dovecot.log
protocols = imap
listen = $host
ssl = required
ssl_cert = <$certificate
ssl_key = <$certificate
ssl_min_protocol = TLSv1.2
ssl_cipher_suites = TLS_AES_128_GCM_SHA256
auth_mechanisms = plain
default_internal_user = $user
default_login_user = $user
default_internal_group = $group
login_greeting = ready
service anvil {
  chroot =
}
service stats {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = $files
  vsz_limit = 4 G
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = $imaps_port
  }
}
service auth {
  client_limit = $files
}
passdb {
  driver = static
  args = proxy=y host=$host port=$stub_port nopassword=y
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
""")
_FILES = 12_000


class DovecotProxy:
    """Dovecot's master, login, auth and helper processes; all are counted."""

    name = "Dovecot proxy"
    smtp_port = 0
    user = "alice"
    password = "any"

    def __init__(self, stub: ImapStub, certificate: Path) -> None:
        dovecot = program("dovecot")
        if os.geteuid() != 0 or not Path("/usr/lib/dovecot/imap-login").exists():
            raise MissingPeerError("Dovecot's proxy needs dovecot-imapd and root")
        # Its unprivileged processes cannot enter a private directory.
        self._directory = tempfile.TemporaryDirectory(prefix="bench-dovecot-")
        directory = Path(self._directory.name)
        directory.chmod(0o755)
        (self.imaps_port,) = free_ports(1)
        configuration = directory / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.substitute(
                directory=directory,
                host=LOOPBACK,
                certificate=certificate,
                user="nobody",
                group="nogroup",
                files=_FILES,
                imaps_port=self.imaps_port,
                stub_port=stub.port,
            )
        )
        self._process = subprocess.Popen(
            [str(dovecot), "-F", "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(directory / "stderr").open("wb"),
        )
        self.pid = self._process.pid
        try:
            wait_for_port(self.imaps_port, self._process)
        except MissingPeerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End all its processes."""
        end(self._process)
        self._directory.cleanup()
