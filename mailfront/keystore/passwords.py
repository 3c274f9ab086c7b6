"""`sslpassword.conf`: the passwords of the tokens, for servers that start without a person.

One entry per line, `token name:password`, split at the first colon: names hold blanks and
parentheses, passwords may hold colons and are taken exactly as written. Lines that begin with `#`
and blank lines are comments. The file is refused if anybody but its owner may read it. Takes paths
and names, returns `Secret`s; raises `KeystoreError`, which never quotes a line.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.directory_lock import locked_directory

MAXIMUM_FILE = 64 * 1024
MAXIMUM_PASSWORD = 1024
# The password of the line that the original product installed; everybody knows it.
_WELL_KNOWN = Secret("netscape!")
# 32 characters of 6 bits each: beyond guessing whatever the key derivation costs.
_RANDOM_OCTETS = 24
_FORMAT = "write each line as `token name:password`"
_HEADING = b"# token name:password, one per line. Keep this file readable by its owner only.\n"


@dataclass(frozen=True, slots=True)
class PasswordLine:
    """An entry of the file and the number of its line."""

    token_name: str
    password: Secret
    line: int


def read_password(path: Path, token_name: str) -> Secret:
    """Return the password of a token. Raises `KeystoreError` if it or the file is missing."""
    password = find_password(path, token_name)
    if password is None:
        raise KeystoreError(
            f"there is no line for the token {token_name!r}",
            remedy=f"add the line `{token_name}:` followed by its password",
            file=path,
        )
    return password


def find_password(path: Path, token_name: str) -> Secret | None:
    """Return the password of a token, or None where the file has no line for it."""
    for entry in parse_password_lines(_read_privately(path), path):
        if entry.token_name == token_name:
            return entry.password
    return None


def parse_password_lines(content: bytes, path: Path) -> list[PasswordLine]:
    """Return the entries of a password file. Raises `KeystoreError` with the number of the line."""
    entries: dict[str, PasswordLine] = {}
    for number, octets in enumerate(content.split(b"\n"), start=1):
        if not octets.strip() or octets.lstrip().startswith(b"#"):
            continue
        entry = _parse_line(octets.removesuffix(b"\r"), number, path)
        earlier = entries.setdefault(entry.token_name, entry)
        if earlier is not entry:
            raise KeystoreError(
                f"a second line for the token {entry.token_name!r}; the first is {earlier.line}",
                remedy="keep one of them",
                file=path,
                line=number,
            )
    return list(entries.values())


def _parse_line(octets: bytes, number: int, path: Path) -> PasswordLine:
    def fault(what: str) -> KeystoreError:
        return KeystoreError(what, remedy=_FORMAT, file=path, line=number)

    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise fault("the line is not UTF-8 text") from None
    name, colon, password = text.partition(":")
    if not colon or not name.strip():
        raise fault("there is no token name with a colon behind it")
    if not password:
        raise fault("there is no password behind the colon")
    if len(password) > MAXIMUM_PASSWORD or not name.isprintable():
        raise fault("the line is no token name and password")
    return PasswordLine(name.strip(), Secret(password), number)


def write_password(path: Path, token_name: str, password: Secret) -> None:
    """Set a token's line, durably; other lines and comments stay. Makes the file if need be.

    Raises `KeystoreError` if name or password cannot stand on such a line.
    """
    _check_writable(token_name, password)
    with locked_directory(path.parent):
        content = _read_privately(path) if path.exists() else _HEADING
        present = {entry.token_name: entry.line for entry in parse_password_lines(content, path)}
        lines = content.removesuffix(b"\n").split(b"\n")
        line = f"{token_name}:{password.reveal()}".encode()
        if token_name in present:
            lines[present[token_name] - 1] = line
        else:
            lines.append(line)
        try:
            write_durably(path, b"\n".join(lines) + b"\n", mode=0o600)
        except OSError as error:
            raise KeystoreError(f"cannot be written: {error.strerror}", file=path) from error


def random_password() -> Secret:
    """Return a password that nobody has to type."""
    return Secret(secrets.token_urlsafe(_RANDOM_OCTETS))


def warning_about(password: Secret) -> str:
    """Return why the password should be changed, or an empty text."""
    if password == _WELL_KNOWN:
        return (
            "WARNING: the certificate database has the well-known default password; whoever reads "
            "a copy of the file has every private key in it"
        )
    return ""


def _check_writable(token_name: str, password: Secret) -> None:
    if not token_name.strip() or ":" in token_name or not token_name.isprintable():
        raise KeystoreError(
            f"the token name {token_name!r} cannot stand in sslpassword.conf", remedy=_FORMAT
        )
    text = password.reveal()
    if not text or len(text) > MAXIMUM_PASSWORD or set(text) & set("\r\n\0"):
        raise KeystoreError(
            "the password cannot stand in sslpassword.conf",
            remedy=f"use 1 to {MAXIMUM_PASSWORD} characters on one line",
        )


def _read_privately(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeystoreError(
                    f"other users may read the passwords in it (mode {mode:04o})",
                    remedy=f"chmod 600 {path}",
                    file=path,
                )
            content = stream.read(MAXIMUM_FILE + 1)
    except FileNotFoundError as error:
        raise KeystoreError(
            "there is no password file",
            remedy="`msgcert generate-certDB` writes it; or give the password with -W FILE",
            file=path,
        ) from error
    except OSError as error:
        raise KeystoreError(f"cannot be read: {error.strerror}", file=path) from error
    if len(content) > MAXIMUM_FILE:
        raise KeystoreError(f"it is larger than {MAXIMUM_FILE} octets", file=path)
    return content
