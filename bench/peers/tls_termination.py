"""HAProxy (TCP mode) and stunnel: TLS in front of the IMAP stub, nothing of IMAP."""

from __future__ import annotations

import subprocess
from pathlib import Path
from string import Template

from bench.peers.imap_stub import ImapStub
from bench.peers.peer import MissingPeerError, end, program, wait_for_port
from tests.support.ports import LOOPBACK, free_ports

_HAPROXY = Template("""\
global
    nbthread 1
    maxconn 9900
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    tune.ssl.default-dh-param 2048
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend imaps
    bind $host:$imaps_port ssl crt $certificate
    default_backend stub
backend stub
    server stub $host:$stub_port
""")
_STUNNEL = Template("""\
foreground = yes
pid =
debug = 3
sslVersionMin = TLSv1.2
ciphersuites = TLS_AES_128_GCM_SHA256
[imaps]
accept = $host:$imaps_port
connect = $host:$stub_port
cert = $certificate
""")


class TlsTermination:
    """One such program; who logs in is the stub's affair, which takes anybody."""

    smtp_port = 0
    user = "alice"
    password = "any"

    def __init__(self, name: str, command: list[str], port: int, stderr: Path) -> None:
        self.name = name
        self.imaps_port = port
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr.open("wb")
        )
        self.pid = self._process.pid
        try:
            wait_for_port(port, self._process)
        except MissingPeerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End it."""
        end(self._process)


def haproxy(directory: Path, stub: ImapStub, certificate: Path) -> TlsTermination:
    """Start HAProxy with one thread. Raises `MissingPeerError`."""
    file, port = _configured(_HAPROXY, directory / "haproxy.cfg", stub, certificate)
    command = [str(program("haproxy")), "-db", "-f", str(file)]
    return TlsTermination("HAProxy TCP", command, port, directory / "haproxy.stderr")


def stunnel(directory: Path, stub: ImapStub, certificate: Path) -> TlsTermination:
    """Start stunnel. Raises `MissingPeerError`."""
    file, port = _configured(_STUNNEL, directory / "stunnel.conf", stub, certificate)
    command = [str(program("stunnel4")), str(file)]
    return TlsTermination("stunnel", command, port, directory / "stunnel.stderr")


def _configured(
    template: Template, file: Path, stub: ImapStub, certificate: Path
) -> tuple[Path, int]:
    (port,) = free_ports(1)
    file.write_text(
        template.substitute(
            host=LOOPBACK, imaps_port=port, stub_port=stub.port, certificate=certificate
        )
    )
    return file, port
