"""nginx as mail proxy on IMAPS: it asks itself (auth_http) and proxies to the IMAP stub.

One worker; one ticket for each full handshake and the suite that ours chooses; the rest is as
nginx has it by default, unless `buffer` (of `proxy_buffer`) says otherwise. With a CA for clients
it asks for certificates and takes EXTERNAL; its auth_http then gives the password for the stub.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from string import Template

from bench.certificate import write_certificate
from bench.peers.imap_stub import ImapStub
from bench.peers.peer import MissingPeerError, end, program, wait_for_port
from tests.support.ports import LOOPBACK, free_ports

_MAIL_MODULE = Path("/usr/lib/nginx/modules/ngx_mail_module.so")
_CONFIGURATION = Template("""\
load_module $module;
$user
daemon off;
worker_processes 1;
worker_rlimit_nofile $files;
pid $directory/nginx.pid;
error_log $directory/error.log warn;
events { worker_connections $files; }
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
            $auth_more
            return 200;
        }
    }
}
mail {
    auth_http $host:$auth_port/;
    ssl_certificate $certificate;
    ssl_certificate_key $certificate;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command NumTickets 1;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    $mail_more
    server { listen $host:$imaps_port ssl; protocol imap; }
}
""")
_FILES = 20_000


class Nginx:
    """nginx and, unless one is given, the stub behind it; the CPU measured is nginx's alone."""

    smtp_port = 0
    user = "alice"
    password = "any"

    def __init__(
        self,
        directory: Path,
        *,
        stub: ImapStub | None = None,
        certificate: Path | None = None,
        client_authority: Path | None = None,
        buffer: str = "",
        name: str = "nginx mail",
    ) -> None:
        nginx = program("nginx")
        if not _MAIL_MODULE.exists():
            raise MissingPeerError("nginx has no mail module (libnginx-mod-mail)")
        self.name = name
        if certificate is None:
            certificate = directory / "nginx.pem"
            write_certificate(certificate)
        auth_more, mail_more = "", f"proxy_buffer {buffer};" if buffer else ""
        if client_authority is not None:
            auth_more = "add_header Auth-User alice; add_header Auth-Pass any;"
            mail_more += (
                f"ssl_verify_client on; ssl_client_certificate {client_authority};"
                "imap_auth plain external;"
            )
        self._stub = None if stub is not None else ImapStub()
        used = stub or self._stub
        assert used is not None
        auth_port, self.imaps_port = free_ports(2)
        configuration = directory / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.substitute(
                module=_MAIL_MODULE,
                # A worker under another user could not write below a private directory.
                user="user root;" if os.geteuid() == 0 else "",
                directory=directory,
                files=_FILES,
                host=LOOPBACK,
                auth_port=auth_port,
                stub_port=used.port,
                imaps_port=self.imaps_port,
                certificate=certificate,
                auth_more=auth_more,
                mail_more=mail_more,
            )
        )
        self._nginx = subprocess.Popen(
            [str(nginx), "-p", str(directory), "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stderr=(directory / "nginx.stderr").open("wb"),
        )
        self.pid = self._nginx.pid
        try:
            wait_for_port(self.imaps_port, self._nginx)
        except MissingPeerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End nginx, and the stub that is its own."""
        end(self._nginx)
        if self._stub is not None:
            self._stub.stop()
