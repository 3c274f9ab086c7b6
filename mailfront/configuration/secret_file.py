"""A secret in a file of its own: the first line, in a file that only its owner may read.

Takes the path, returns the `Secret`; raises `ConfigurationError`, which never quotes the line.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mailfront.errors import ConfigurationError
from mailfront.interfaces.secret import Secret

LONGEST_SECRET = 1024


def read_secret_file(path: Path) -> Secret:
    """Return the secret in the file at `path`."""
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            line = stream.readline(LONGEST_SECRET + 2)
    except FileNotFoundError:
        raise ConfigurationError(
            "there is no such file, which should hold a password",
            remedy="write the password on its first line and make it mode 0600",
            file=path,
        ) from None
    except OSError as failure:
        raise ConfigurationError(f"cannot be read: {failure.strerror}", file=path) from failure
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"other users may read the password in it (mode {mode:04o})",
            remedy=f"chmod 600 {path}",
            file=path,
        )
    secret = line.rstrip(b"\r\n")
    if not secret or len(secret) > LONGEST_SECRET:
        raise ConfigurationError(
            "its first line is not a password",
            remedy=f"write 1 to {LONGEST_SECRET} octets on its first line",
            file=path,
        )
    try:
        return Secret(secret.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigurationError("its first line is not UTF-8", file=path) from None
