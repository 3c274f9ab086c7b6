"""Reading an NSS database (`cert9.db`, `key4.db`), through the tools of NSS that are installed.

Takes the directory of a database of Sun or Oracle Messaging Server, 389 Directory Server or
Firefox, and its password; returns certificates with their keys, and CAs with their trust. The
database is copied first and the tools work on the copy: nothing in the directory changes, programs
that use it do not matter, and modules that its `pkcs11.txt` names are not loaded. Passwords go to
the tools in files that nobody else may read. Raises `KeystoreError`.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from mailfront.errors import KeystoreError, WrongPasswordError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.certificate_files import parse_certificates
from mailfront.keystore.pkcs12 import Pkcs12Contents, read_pkcs12
from mailfront.keystore.trust import TrustFlags

MAXIMUM_DATABASE = 256 * 1024 * 1024
MAXIMUM_CERTIFICATES = 2000
_TOOL_SECONDS = 60
_CERTIFICATES, _KEYS = "cert9.db", "key4.db"
_OLD_CERTIFICATES = "cert8.db"
# certutil pads the nickname with blanks; trust for TLS, for mail and for code ends the line.
_LISTED = re.compile(r"(?P<nickname>\S.*?) +(?P<tls>[pPcCTuwg]*),[pPcCTuwg]*,[pPcCTuwg]*")
_TRUSTED_FOR = {"C": TrustFlags.SERVERS, "T": TrustFlags.CLIENTS}
_TOKEN_NAMES = ("Internal (Software) Token:", "NSS Certificate DB:")


@dataclass(frozen=True, slots=True)
class NssAuthority:
    """A CA of the database, under its nickname there, and what it is trusted for."""

    nickname: str
    certificate: x509.Certificate
    trust: TrustFlags


@dataclass(frozen=True, slots=True)
class NssKeys:
    """The keys with certificates under one nickname, and what a CA among these is trusted for."""

    contents: Pkcs12Contents
    trust: TrustFlags


@dataclass(frozen=True, slots=True)
class NssContents:
    """Keys with certificates by nickname, trusted CAs, and the nicknames that are neither."""

    identities: dict[str, NssKeys]
    authorities: tuple[NssAuthority, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Tools:
    certutil: str
    pk12util: str


def without_token_name(line: Secret) -> Secret:
    """Return the password of a line that may be one of the original's `sslpassword.conf`."""
    text = line.reveal()
    for name in _TOKEN_NAMES:
        if text.startswith(name):
            return Secret(text.removeprefix(name))
    return line


def read_nss_database(directory: Path, password: Secret | None) -> NssContents:
    """Return what is in the database; without password, one whose password is empty.

    Raises `WrongPasswordError`, and `KeystoreError` if there is no such database, or no tools.
    """
    _check_directory(directory)
    tools = _installed_tools()
    with tempfile.TemporaryDirectory(prefix="mailfront-nssdb-") as private:
        session = _Session(tools, Path(private), directory)
        session.copy_database()
        session.write_secret("password", password or Secret(""))
        session.check_password()
        return session.contents()


class _Session:
    """The tools at work on a copy of the database, in a directory that is private and passing."""

    def __init__(self, tools: _Tools, private: Path, source: Path) -> None:
        self._tools = tools
        self._private = private
        self._source = source

    def copy_database(self) -> None:
        for name in (_CERTIFICATES, _KEYS):
            _copy_sqlite(self._source / name, self._private / name)

    def write_secret(self, name: str, secret: Secret) -> None:
        path = self._private / name
        path.touch(mode=0o600)
        path.write_text(secret.reveal() + "\n")

    def check_password(self) -> None:
        finished = self._run(self._tools.certutil, "-K", "-f", self._path("password"))
        if "SEC_ERROR_BAD_PASSWORD" in finished.stderr:
            raise WrongPasswordError(
                "the password does not open the NSS database",
                remedy="it stands behind the token's name in the old server's sslpassword.conf",
                file=self._source,
            )

    def contents(self) -> NssContents:
        identities: dict[str, NssKeys] = {}
        authorities: dict[str, NssAuthority] = {}
        others: dict[str, None] = {}
        for nickname, letters in self._listed():
            trust = TrustFlags.NONE
            for letter, flag in _TRUSTED_FOR.items():
                trust |= flag if letter in letters else TrustFlags.NONE
            if "u" in letters:
                if nickname not in identities:
                    identities[nickname] = NssKeys(self._identity(nickname), trust)
            elif not trust:
                others[nickname] = None
            elif nickname not in authorities:
                authorities |= self._authorities(nickname, trust)
        return NssContents(identities, tuple(authorities.values()), tuple(others))

    def _listed(self) -> Iterator[tuple[str, str]]:
        listing = self._succeed(self._tools.certutil, "-L")
        count = 0
        for line in listing.splitlines():
            listed = _LISTED.fullmatch(line.rstrip())
            if listed is None or listed["nickname"] == "Certificate Nickname":
                continue
            count += 1
            if count > MAXIMUM_CERTIFICATES:
                raise KeystoreError(
                    f"it holds more than {MAXIMUM_CERTIFICATES} certificates", file=self._source
                )
            yield listed["nickname"], listed["tls"]

    def _identity(self, nickname: str) -> Pkcs12Contents:
        transfer = self._private / "transfer.p12"
        transfer.unlink(missing_ok=True)
        password = Secret(secrets.token_urlsafe(24))
        self.write_secret("transfer-password", password)
        self._succeed(
            self._tools.pk12util,
            *("-o", str(transfer), "-n", nickname),
            *("-k", self._path("password"), "-w", self._path("transfer-password")),
            about=nickname,
        )
        return read_pkcs12(transfer.read_bytes(), password)

    def _authorities(self, nickname: str, trust: TrustFlags) -> dict[str, NssAuthority]:
        """Return the CAs of a nickname, of which NSS may have several, each under a name."""
        printed = self._succeed(self._tools.certutil, "-L", "-a", "-n", nickname, about=nickname)
        certificates = parse_certificates(printed.encode(errors="replace"))
        names = [nickname, *(f"{nickname} {number}" for number in range(2, len(certificates) + 1))]
        return {
            name: NssAuthority(name, certificate, trust)
            for name, certificate in zip(names, certificates, strict=True)
        }

    def _path(self, name: str) -> str:
        return str(self._private / name)

    def _succeed(self, tool: str, *arguments: str, about: str = "") -> str:
        finished = self._run(tool, *arguments)
        if finished.returncode != 0:
            said = finished.stderr.strip().splitlines() or ["no reason given"]
            subject = f"{about!r}: " if about else ""
            raise KeystoreError(
                f"{subject}{Path(tool).name} failed: {said[-1]}",
                remedy=f"look at the database with `certutil -L -d {self._source}`",
                file=self._source,
            )
        return finished.stdout

    def _run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603
                [tool, *arguments, "-d", f"sql:{self._private}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                timeout=_TOOL_SECONDS,
                check=False,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired as error:
            raise KeystoreError(
                f"{Path(tool).name} did not end within {_TOOL_SECONDS} s", file=self._source
            ) from error


def _installed_tools() -> _Tools:
    certutil, pk12util = shutil.which("certutil"), shutil.which("pk12util")
    if certutil is None or pk12util is None:
        missing = "certutil" if certutil is None else "pk12util"
        raise KeystoreError(
            f"the NSS tool {missing} is not installed",
            remedy="install the package libnss3-tools (Debian, Ubuntu) or nss-tools (Fedora, RHEL)",
        )
    return _Tools(certutil, pk12util)


def _check_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise KeystoreError("there is no such directory", file=directory)
    if (directory / _CERTIFICATES).exists():
        if not (directory / _KEYS).exists():
            raise KeystoreError(f"there is {_CERTIFICATES} but no {_KEYS}", file=directory)
        return
    if (directory / _OLD_CERTIFICATES).exists():
        raise KeystoreError(
            f"the database has the old form ({_OLD_CERTIFICATES})",
            remedy=f"make a new one of it, then import that: {upgrade_command(directory)}",
            file=directory,
        )
    raise KeystoreError(
        f"there is no NSS database ({_CERTIFICATES} and {_KEYS})",
        remedy="name the directory in which these files are",
        file=directory,
    )


def upgrade_command(directory: Path) -> str:
    """Return the command that makes a `cert9.db` beside the directory of a `cert8.db`.

    The new database asks for a new password, and takes everything over.
    """
    old = directory.absolute()
    new = old.with_name(f"{old.name}-cert9")
    source, target = shlex.quote(str(old)), shlex.quote(str(new))
    return (
        f"mkdir -m 700 {target} && certutil -N -d sql:{target} && certutil --upgrade-merge "
        f"-d {target} --source-dir {source} --upgrade-id mailfront --upgrade-token-name old"
    )


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that another program may be writing to, as of one moment."""
    with _plain_errors(source):
        if source.stat().st_size > MAXIMUM_DATABASE:
            raise KeystoreError(f"it is larger than {MAXIMUM_DATABASE} octets", file=source)
        target.touch(mode=0o600)
        address = f"{source.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(address, uri=True)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise KeystoreError(f"this is not an NSS database ({error})", file=path) from error
    except OSError as error:
        raise KeystoreError(f"cannot be read: {error.strerror}", file=path) from error
