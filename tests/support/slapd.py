"""A real slapd on loopback: its configuration, users, start, kill, freeze and restart.

Takes a directory and users, gives the ports for LDAP (StartTLS too) and ldaps. The schema is the
one that operators are given.
"""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509

from mailfront.protocol.ldif import format_record
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports

SUFFIX = "dc=example,dc=test"
PEOPLE = f"ou=People,{SUFFIX}"
MANAGER = f"cn=Manager,{SUFFIX}"
READER = f"cn=mailfront,{SUFFIX}"
READER_PASSWORD = "reader-secret"
SCHEMA = Path(__file__).parents[2] / "docs" / "ldap" / "mailfront.schema"
_SYSTEM_SCHEMA = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")
_DEADLINE = 20.0

Attributes = Mapping[str, str | bytes | list[str]]


def ssha(password: str) -> str:
    """Return a `userPassword` value that slapd can check."""
    salt = os.urandom(8)
    return (
        "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()
    )


def user(uid: str, password: str | None = None, **attributes: str | bytes | list[str]) -> bytes:
    """Return the LDIF of one user below `PEOPLE`; keyword arguments add and replace attributes."""
    values: dict[str, str | bytes | list[str]] = {
        "objectClass": ["inetOrgPerson", "inetUser", "inetMailUser", "inetLocalMailRecipient"],
        "uid": uid,
        "cn": uid,
        "sn": uid,
        "mail": f"{uid}@example.test",
        **({"userPassword": ssha(password)} if password is not None else {}),
        **{name.replace("__", ";"): value for name, value in attributes.items()},
    }
    encoded = [
        (name, each if isinstance(each, bytes) else each.encode())
        for name, value in values.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return format_record(f"uid={uid},{PEOPLE}", encoded) + b"\n"


def tree() -> bytes:
    """Return the LDIF of what users hang below, and of the entry that mailfront binds as."""
    reader = [
        ("objectClass", b"organizationalRole"), ("objectClass", b"simpleSecurityObject"),
        ("cn", b"mailfront"), ("userPassword", ssha(READER_PASSWORD).encode()),
    ]  # fmt: skip
    return b"\n".join(
        (
            format_record(
                SUFFIX,
                [("objectClass", b"dcObject"), ("objectClass", b"organization"),
                 ("dc", b"example"), ("o", b"Example")],
            ),
            format_record(PEOPLE, [("objectClass", b"organizationalUnit"), ("ou", b"People")]),
            format_record(READER, reader),
            b"",
        )
    )  # fmt: skip


class Slapd:
    """One slapd; `port` speaks LDAP in clear and StartTLS, `tls_port` ldaps.

    It demands a bind for searches by anybody but `READER` and shows `userPassword` to it alone.
    """

    def __init__(
        self,
        path: Path,
        users: Iterable[bytes] = (),
        *,
        issuer: Issuer | None = None,
        name: str = "localhost",
    ) -> None:
        self.path = path
        self.port, self.tls_port = free_ports(2)
        self.issuer = issuer or Issuer()
        self._process: subprocess.Popen[bytes] | None = None
        (path / "data").mkdir(parents=True)
        issued = self.issuer.issue(name, LOOPBACK)
        certificate_pem_file(path / "server.pem", issued.chain)
        key_pem_file(path / "server.key", issued.key)
        (path / "slapd.conf").write_text(self._configuration())
        with (path / "users.ldif").open("wb") as ldif:
            ldif.write(tree())
            ldif.writelines(users)
        self._add()

    @property
    def authority(self) -> x509.Certificate:
        """The root that slapd's certificate comes from."""
        return self.issuer.root

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it accepts."""
        slapd = require_program("slapd")
        urls = f"ldap://{LOOPBACK}:{self.port} ldaps://{LOOPBACK}:{self.tls_port}"
        with (self.path / "slapd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(slapd), "-d", "0", "-h", urls, "-f", str(self.path / "slapd.conf")],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        until = time.monotonic() + _DEADLINE
        for port in (self.port, self.tls_port):
            while True:
                try:
                    socket.create_connection((LOOPBACK, port), timeout=1).close()
                    break
                except OSError:
                    assert self._process.poll() is None, self.log
                    assert time.monotonic() < until, self.log
                    time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Keep it from answering; the kernel goes on taking connections for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> str:
        return (self.path / "slapd.log").read_text(errors="replace")

    def modify(self, changes: str) -> None:
        """Apply change records as the manager."""
        self._tool("ldapmodify", changes)

    def search(self, condition: str, *attributes: str) -> str:
        """What `ldapsearch` prints as LDIF."""
        return self._tool(
            "ldapsearch", "", "-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, condition, *attributes
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.kill()

    def _tool(self, program: str, text_input: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(require_program(program)), "-x", "-H", f"ldap://{LOOPBACK}:{self.port}",
             "-D", MANAGER, "-w", "manager", *arguments],
            input=text_input, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _add(self) -> None:
        done = subprocess.run(
            [str(require_program("slapadd")), "-q", "-f", str(self.path / "slapd.conf"),
             "-l", str(self.path / "users.ldif")],
            capture_output=True, text=True, timeout=1200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def _configuration(self) -> str:
        includes = "".join(
            f"include {_SYSTEM_SCHEMA}/{name}.schema\n"
            for name in ("core", "cosine", "inetorgperson", "misc")
        )
        path = self.path
        return f"""{includes}include {SCHEMA}
modulepath {_MODULES}
moduleload back_mdb
pidfile {path}/slapd.pid
TLSCertificateFile {path}/server.pem
TLSCertificateKeyFile {path}/server.key
TLSVerifyClient never
threads 4
database mdb
maxsize 8589934592
suffix "{SUFFIX}"
rootdn "{MANAGER}"
rootpw manager
directory {path}/data
dbnosync
index objectClass,uid,cn,mail,mailAlternateAddress,mailEquivalentAddress eq
index certSubjectDN,mailFrontKeyFingerprint eq
access to attrs=userPassword by dn.exact="{READER}" read by anonymous auth by * none
access to * by dn.exact="{READER}" read by * none
"""
