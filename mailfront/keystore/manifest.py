"""The list of all rows of the certificate database, authenticated as a whole.

A row's own tag says that the row was written by us, not that it is the latest: whoever writes the
file could put back an older row of the same nickname, or remove one. The manifest holds the tag of
each nickname's present row; it changes in the same transaction as the rows. What the manifest
does not name is not served, and what it names is missed. Putting back the whole file as it once
was is not detected: nothing outside the file remembers it.

Takes the database's connection and keys, returns nicknames and tags; raises `SealError`.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable, Mapping

from mailfront.keystore import sealing

# What the names of rows of other tables begin with, and no nickname does.
_OTHER_TABLE = "\0"
_SELECT = "SELECT listed, tag FROM manifest"
_REPLACE = "INSERT OR REPLACE INTO manifest (id, listed, tag) VALUES (1, ?, ?)"


class Manifest:
    """The present tag of each nickname."""

    def __init__(self, tags: Mapping[str, bytes] | None = None) -> None:
        self._tags = dict(tags or {})

    def check(self, nickname: str, tag: bytes) -> None:
        """Raise `SealError` unless the row of `nickname` with that tag is the present one."""
        listed = self._tags.get(nickname)
        if listed is None or not hmac.compare_digest(listed, tag):
            raise sealing.SealError("the row is not the one that was written last")

    def names(self, nickname: str) -> bool:
        """Whether there is, or should be, a row of that nickname."""
        return nickname in self._tags

    def missing(self, present: Iterable[str]) -> tuple[str, ...]:
        """Return the nicknames, sorted, that have no row among those `present`."""
        nicknames = {name for name in self._tags if not name.startswith(_OTHER_TABLE)}
        return tuple(sorted(nicknames - set(present)))

    def beginning_with(self, prefix: str) -> tuple[str, ...]:
        """Return the names, sorted, that another table than that of the entries lists here."""
        return tuple(sorted(name for name in self._tags if name.startswith(prefix)))

    def put(self, nickname: str, tag: bytes) -> None:
        """List a row in place of the nickname's former one."""
        self._tags[nickname] = tag

    def drop(self, nickname: str) -> None:
        """List no row of that nickname any more."""
        self._tags.pop(nickname, None)

    def listed(self) -> bytes:
        """Return the manifest as it is stored."""
        fields = (field for name, tag in sorted(self._tags.items()) for field in (name, tag))
        return sealing.binding(
            *(field.encode() if isinstance(field, str) else field for field in fields)
        )


class ManifestReader:
    """Reads the manifest, and checks and parses it only where it changed since the last time."""

    def __init__(self, keys: sealing.DatabaseKeys) -> None:
        self._keys = keys
        self._seen: tuple[bytes, bytes] | None = None
        self._manifest = Manifest()

    def read(self, connection: sqlite3.Connection) -> Manifest:
        """Return the manifest, which the caller leaves unchanged. Raises `SealError`."""
        found = connection.execute(_SELECT).fetchone()
        if found is None:
            raise sealing.SealError("the list of the rows is missing")
        if found != self._seen:
            self._manifest = _parsed(found, self._keys)
            self._seen = found
        return self._manifest


def read_manifest(connection: sqlite3.Connection, keys: sealing.DatabaseKeys) -> Manifest:
    """Return the manifest, to be changed. Raises `SealError` if it was altered."""
    return ManifestReader(keys).read(connection)


def write_manifest(
    connection: sqlite3.Connection, keys: sealing.DatabaseKeys, manifest: Manifest
) -> None:
    """Store the manifest; belongs into the transaction that changes the rows."""
    listed = manifest.listed()
    connection.execute(_REPLACE, (listed, keys.tag(_statement(keys, listed), None)))


def _parsed(found: tuple[object, object], keys: sealing.DatabaseKeys) -> Manifest:
    listed, tag = found
    if not (isinstance(listed, bytes) and isinstance(tag, bytes)):
        raise sealing.SealError("the list of the rows has another type than it was written with")
    keys.check_tag(tag, _statement(keys, listed), None)
    fields = sealing.bound_fields(listed)
    names, tags = fields[::2], fields[1::2]
    return Manifest({name.decode(): tag for name, tag in zip(names, tags, strict=True)})


def _statement(keys: sealing.DatabaseKeys, listed: bytes) -> bytes:
    return sealing.binding(b"mailfront manifest 1", keys.identity, listed)
