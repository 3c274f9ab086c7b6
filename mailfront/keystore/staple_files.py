"""OCSP responses kept on disk, so that a restart staples at once though the responder is away.

One file per certificate, named after its SHA-256 digest. What is read is as little to be trusted
as what came from the network: whoever loads judges it anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.keystore.ocsp import MAXIMUM_RESPONSE

_NAME = re.compile(r"([0-9a-f]{64})\.der")
_MOST_FILES = 10_000


class StapleFiles:
    """The files in one directory, which is made when the first is kept. Raises `OSError`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        """Every response that is there, behind its certificate's digest. Unreadable files and
        those of an odd size are passed over."""
        for number, fingerprint in enumerate(self.fingerprints()):
            if number == _MOST_FILES:
                return
            try:
                with self._path(fingerprint).open("rb") as stream:
                    response = stream.read(MAXIMUM_RESPONSE + 1)
            except OSError:
                continue
            if 0 < len(response) <= MAXIMUM_RESPONSE:
                yield fingerprint, response

    def fingerprints(self) -> list[bytes]:
        """The certificates that there are files of."""
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError:
            return []
        found = (_NAME.fullmatch(name) for name in sorted(names))
        return [bytes.fromhex(match[1]) for match in found if match is not None]

    def keep(self, fingerprint: bytes, response: bytes) -> None:
        """Replace what is there of that certificate."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._path(fingerprint), response, mode=0o600)

    def forget(self, fingerprint: bytes) -> None:
        """Remove what is there of that certificate, if anything is."""
        self._path(fingerprint).unlink(missing_ok=True)

    def _path(self, fingerprint: bytes) -> Path:
        return self._directory / f"{fingerprint.hex()}.der"
