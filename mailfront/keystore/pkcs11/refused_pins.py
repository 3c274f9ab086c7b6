"""The PINs that tokens refused: none is tried twice, whoever tries and however often we start.

A hardware token locks its PIN after a few wrong ones, and a supervisor that restarts a failing
server would spend them in seconds. So `certdb/pkcs11/refused-pins.json` keeps, per token, a salted
digest of what was refused and which `sslpassword.conf` it came from; saving that file anew allows
one further try. Takes the server root; raises `TokenError`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.pkcs11.state_files import locked_state, state_directory, write_state

MAXIMUM_FILE = 64 * 1024
_SALT_OCTETS = 16


class RefusedPins:
    """What was refused so far; use it through `one_at_a_time`."""

    def __init__(self, root: ServerRoot) -> None:
        self._passwords = root.sslpassword_conf
        self._root = root
        self._path = state_directory(root) / "refused-pins.json"
        self._entries: dict[str, dict[str, str]] = {}

    @contextmanager
    def one_at_a_time(self) -> Iterator[RefusedPins]:
        """Nobody else tries a PIN during the block: two processes would spend two tries."""
        with locked_state(self._root):
            self._entries = _read(self._path)
            yield self

    def includes(self, token: str, pin: Secret) -> bool:
        """Whether this PIN, out of the password file as it is, was refused by this token."""
        entry = self._entries.get(token)
        if entry is None or entry.get("file") != _identity(self._passwords):
            return False
        try:
            salt = bytes.fromhex(entry.get("salt", ""))
        except ValueError:
            return False
        return hmac.compare_digest(entry.get("digest", ""), _digest(salt, pin))

    def add(self, token: str, pin: Secret) -> None:
        """This PIN was refused."""
        salt = os.urandom(_SALT_OCTETS)
        self._entries[token] = {
            "file": _identity(self._passwords),
            "salt": salt.hex(),
            "digest": _digest(salt, pin),
        }
        self._write()

    def forget(self, token: str) -> None:
        """The token was content."""
        if self._entries.pop(token, None) is not None:
            self._write()

    def _write(self) -> None:
        content = json.dumps({"refused": self._entries}, indent=2).encode() + b"\n"
        write_state(self._path, content)


def _digest(salt: bytes, pin: Secret) -> str:
    # It hides no more than the password file beside it shows, and the PIN is a wrong one.
    return hashlib.scrypt(pin.reveal().encode(), salt=salt, n=2**12, r=8, p=1).hex()


def _identity(path: Path) -> str:
    """What differs when the file was saved anew."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}"


def _read(path: Path) -> dict[str, dict[str, str]]:
    """The entries; none where there is no file."""
    try:
        with path.open("rb") as stream:
            entries = json.loads(stream.read(MAXIMUM_FILE))["refused"]
        return {
            str(token): {str(name): str(value) for name, value in entry.items()}
            for token, entry in entries.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TokenError(
            "tells no refused PINs", remedy="delete it, after you checked the PINs", file=path
        ) from error
