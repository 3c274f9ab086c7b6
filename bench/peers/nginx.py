"""nginx as mail proxy on IMAPS: it asks itself (auth_http) and proxies to the IMAP stub.

One worker, buffers and session settings as nginx has them by default.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from string import Template

from bench.certificate import write_certificate
from bench.peers.peer import MissingPeerError, end, program, wait_for_port
from tests.support.ports import LOOPBACK, free_ports

_MAIL_MODULE = Path("/usr/lib/nginx/modules/ngx_mail_module.so")
_CONFIGURATION = Template("""\
load_module $module;
$user
daemon off;
worker_processes 1;
pid $directory/nginx.pid;
error_log $directory/error.log warn;
events { worker_connections 2048; }
http {
    access_log off;
    client_body_temp_path $directory/body;
    proxy_temp_path $directory/proxy;
    fastcgi_temp_path $directory/fastcgi;
    uwsgi_temp_path $directory/uwsgi;
    scgi_temp_path $directory/scgi;
    server {
        listen $host:$auth_port;
        location / {
            add_header Auth-Status OK;
            add_header Auth-Server $host;
            add_header Auth-Port $stub_port;
            return 200;
        }
    }
}
mail {
    auth_http $host:$auth_port/;
    ssl_certificate $certificate;
    ssl_certificate_key $certificate;
    ssl_protocols TLSv1.2 TLSv1.3;
    server { listen $host:$imaps_port ssl; protocol imap; }
}
""")


class Nginx:
    """nginx and the stub behind it; the CPU measured is nginx's alone."""

    name = "nginx mail"
    smtp_port = 0
    user = "alice"
    password = "any"

    def __init__(self, directory: Path) -> None:
        nginx = program("nginx")
        if not _MAIL_MODULE.exists():
            raise MissingPeerError("nginx has no mail module (libnginx-mod-mail)")
        certificate = directory / "nginx.pem"
        write_certificate(certificate)
        auth_port, stub_port, self.imaps_port = free_ports(3)
        configuration = directory / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.substitute(
                module=_MAIL_MODULE,
                # A worker under another user could not write below a private directory.
                user="user root;" if os.geteuid() == 0 else "",
                directory=directory,
                host=LOOPBACK,
                auth_port=auth_port,
                stub_port=stub_port,
                imaps_port=self.imaps_port,
                certificate=certificate,
            )
        )
        self._stub = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.imap_stub", str(stub_port)]
        )
        self._nginx = subprocess.Popen(
            [str(nginx), "-p", str(directory), "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stderr=(directory / "nginx.stderr").open("wb"),
        )
        self.pid = self._nginx.pid
        try:
            wait_for_port(stub_port, self._stub)
            wait_for_port(self.imaps_port, self._nginx)
        except MissingPeerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End nginx and the stub."""
        end(self._nginx)
        end(self._stub)
