"""Logins per CPU-second of the server, by certificate and by password, from `users.ldif` and slapd.

Each login is a connection: a full TLS 1.3 handshake over IMAPS, the login, LOGOUT. `cold` are the
first logins of users, each with a certificate of their own; `cached` is one user again and again.
`none` is the same connection without a login. What a login itself costs is the difference.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.load import DEADLINE, LOOPBACK, client_context
from bench.processes import cpu_seconds
from mailfront.authentication.password import hash_password
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import chain_pem
from tests.support.client_authority import ClientAuthority
from tests.support.server import MailServer, make_server_root, run_command
from tests.support.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, ssha, user

# `users.ldif` of a million is read for longer than the harness waits for a start; see
# `bench directory` for what a look-up in it costs.
SIZES = {"ldif": (100, 10_000), "slapd": (100, 10_000, 1_000_000)}
COLD = 100
CACHED = 600
_AT_A_TIME = 8
PASSWORD = Secret("of the bench")

Login = tuple[ssl.SSLContext, bytes]
"""What the client presents, and what it says (empty: nothing)."""


def main() -> None:
    """Print the figures, a line for each directory and size."""
    kinds = ("none", "certificate cold", "cached", "password cold", "cached")
    print(f"{'logins per CPU-second':24}" + "".join(f"{kind:>18}" for kind in kinds))
    for kind, sizes in SIZES.items():
        for size in sizes:
            directory = Path(tempfile.mkdtemp(prefix="mailfront-bench-"))
            try:
                _measure(kind, size, directory)
            finally:
                shutil.rmtree(directory)


def _measure(kind: str, size: int, directory: Path) -> None:
    make_server_root(directory / "root")
    authority = ClientAuthority("Bench CA")
    _trust(directory, "Bench CA", chain_pem([authority.certificate]), "client")
    options = {"service.handshakesperminute": "0", "service.defaultdomain": "example.test"}
    if kind == "ldif":
        server = MailServer(directory / "root", options)
        _write_users(server.root.users_ldif, size)
        _print_figures(server, authority, kind, size, directory)
        return
    with Slapd(directory / "slapd", _ldap_users(size)) as slapd:
        _trust(directory, "LDAP CA", chain_pem([slapd.authority]), "server")
        options |= {
            "local.ugldaphost": slapd.tls_url,
            "local.ugldapbasedn": PEOPLE,
            "local.ugldapbinddn": READER,
            "local.ldapcachettl": "3600",
        }
        server = MailServer(directory / "root", options)
        secret = server.root.config_directory / "ldappassword"
        secret.touch(0o600)
        secret.write_text(READER_PASSWORD)
        _print_figures(server, authority, kind, size, directory)


def _print_figures(
    server: MailServer, authority: ClientAuthority, kind: str, size: int, directory: Path
) -> None:
    bare = client_context()
    chosen = [(number + 1) * (size // (COLD + 1)) for number in range(COLD)]
    if size <= COLD:
        chosen = list(range(size))

    def presenting(number: int) -> Login:
        context = client_context()
        issued = authority.issue(_name(number))
        context.load_cert_chain(issued.write(directory, _name(number)))
        return context, b"a AUTHENTICATE EXTERNAL =\r\n"

    def by_password(number: int) -> Login:
        return bare, f'a LOGIN {_name(number)} "{PASSWORD.reveal()}"\r\n'.encode()

    certificates = [presenting(number) for number in chosen]
    with server:
        # The first login of a user ever makes their mailboxes.
        _rate(server, certificates)
    with server:
        # Imports and tables of the first connections are nobody's cost.
        for _ in range(_AT_A_TIME):
            _log_in(server.ports["imaps"], (bare, b""))
        figures = [
            _rate(server, [(bare, b"")] * CACHED),
            _rate(server, certificates),
            _rate(server, certificates[:1] * CACHED),
            _rate(server, [by_password(number) for number in chosen]),
            _rate(server, [by_password(chosen[0])] * CACHED),
        ]
    print(f"{kind:8}{size:>10,} users" + "".join(f"{figure:>18,.0f}" for figure in figures))


def _rate(server: MailServer, logins: list[Login]) -> float:
    """Logins per CPU-second of the server."""
    before = cpu_seconds(server.pid)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for _ in pool.map(lambda login: _log_in(server.ports["imaps"], login), logins):
            pass
    return len(logins) / (cpu_seconds(server.pid) - before)


def _log_in(port: int, login: Login) -> None:
    context, said = login
    with socket.create_connection((LOOPBACK, port), timeout=DEADLINE) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            _wait_for(tls, b"* OK")
            if said:
                tls.sendall(said)
                _wait_for(tls, b"a OK")
            tls.sendall(b"b LOGOUT\r\n")
            _wait_for(tls, b"b OK")


def _wait_for(tls: ssl.SSLSocket, beginning: bytes) -> None:
    received = b""
    while not any(line.startswith(beginning) for line in received.split(b"\r\n")[:-1]):
        chunk = tls.recv(16384)
        if not chunk:
            raise ConnectionError(f"closed before {beginning!r}: {received!r}")
        received += chunk


def _name(number: int) -> str:
    return f"user{number:07d}"


def _trust(directory: Path, nickname: str, pem: bytes, purpose: str) -> None:
    file = directory / "ca.pem"
    file.write_bytes(pem)
    home = str(directory / "root")
    done = run_command(
        "msgcert", "--home", home, "add-cert", "-C", "--trust", purpose, nickname, str(file)
    )
    if done.returncode:
        sys.exit(done.stderr)


def _write_users(path: Path, size: int) -> None:
    # One hash for all: making them is not what is measured.
    value = hash_password(PASSWORD)
    _write(path, lambda number: user(_name(number), userPassword=value), size)


def _write(path: Path, record: Callable[[int], bytes], size: int) -> None:
    with path.open("wb") as stream:
        stream.write(b"version: 1\n")
        for number in range(size):
            stream.write(b"\n" + record(number))


def _ldap_users(size: int) -> Iterator[bytes]:
    value = ssha(PASSWORD.reveal())
    for number in range(size):
        yield user(_name(number), userPassword=value)
