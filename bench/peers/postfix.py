"""Postfix as receiving server with STARTTLS: its own configuration and queue, mail held there.

A message is accepted once its queue file is on disk; the hold queue keeps the queue manager and
delivery out of the figure. Needs root, as Postfix changes to its own user.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from string import Template

from bench.certificate import write_certificate
from bench.peers.peer import MissingPeerError, end, program, wait_for_port
from tests.support.ports import LOOPBACK, free_ports

_MAIN = Template("""\
compatibility_level = 3.6
queue_directory = $directory/queue
data_directory = $directory/data
myhostname = mail.example.test
mydestination = example.test
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_chain_files = $directory/postfix.pem
smtpd_tls_security_level = may
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_client_access static:HOLD
maillog_file = $directory/mail.log
maillog_file_prefixes = $directory
""")
_MASTER = Template("""\
$host:$port inet n - n - - smtpd
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
postlog unix-dgram n - n - 1 postlogd
""")


class Postfix:
    """A Postfix instance of its own."""

    name = "Postfix"
    imaps_port = 0
    user = "alice@example.test"
    password = ""

    def __init__(self, directory: Path) -> None:
        postfix = program("postfix")
        if os.geteuid() != 0:
            raise MissingPeerError("Postfix needs root")
        # Postfix's own user must reach the queue below; what is private has modes of its own.
        directory.chmod(0o711)
        directory.parent.chmod(0o711)
        configuration = directory / "postfix"
        for each in (configuration, directory / "queue", directory / "data"):
            each.mkdir()
        subprocess.run(["chown", "postfix", str(directory / "data")], check=True)
        write_certificate(directory / "postfix.pem")
        (self.smtp_port,) = free_ports(1)
        (configuration / "main.cf").write_text(_MAIN.substitute(directory=directory))
        (configuration / "master.cf").write_text(
            _MASTER.substitute(host=LOOPBACK, port=self.smtp_port)
        )
        self._command = [str(postfix), "-c", str(configuration)]
        output = (directory / "postfix.output").open("wb")
        self._process = subprocess.Popen(
            [*self._command, "start-fg"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        self.pid = self._process.pid
        try:
            wait_for_port(self.smtp_port, self._process)
        except MissingPeerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End the instance by its own command: a signal to the starting script would leave it."""
        subprocess.run([*self._command, "stop"], capture_output=True, check=False, timeout=30)
        end(self._process)
