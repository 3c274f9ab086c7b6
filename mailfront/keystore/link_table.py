"""The links of the certificate database: which nickname follows which files.

A link decides what is served, so its row is authenticated like a certificate's: whoever writes the
database file cannot point a nickname at files of their own. Takes the connection and keys of an
opened database; raises `KeystoreError` for an altered row.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from mailfront.errors import KeystoreError
from mailfront.keystore import sealing
from mailfront.keystore.linked_files import Link

_SELECT = "SELECT nickname, certificate_file, key_file, chain_file, tag FROM link ORDER BY nickname"
_REPLACE = "INSERT OR REPLACE INTO link VALUES (?, ?, ?, ?, ?)"


def read_links(connection: sqlite3.Connection, keys: sealing.DatabaseKeys) -> list[Link]:
    """All links, by nickname."""
    return [_verified(row, keys) for row in connection.execute(_SELECT).fetchall()]


def write_link(connection: sqlite3.Connection, keys: sealing.DatabaseKeys, link: Link) -> None:
    """Store a link in place of the nickname's former one."""
    paths = [
        os.fsencode(path) if path is not None else b""
        for path in (link.certificate_file, link.key_file, link.chain_file)
    ]
    tag = keys.tag(_statement(keys, link.nickname, paths), None)
    connection.execute(_REPLACE, (link.nickname, *paths, tag))


def remove_link(connection: sqlite3.Connection, nickname: str) -> bool:
    """Delete the link of a nickname; return whether there was one."""
    return connection.execute("DELETE FROM link WHERE nickname = ?", (nickname,)).rowcount > 0


def _verified(row: tuple[str, bytes, bytes, bytes, bytes], keys: sealing.DatabaseKeys) -> Link:
    nickname, *paths, tag = row
    try:
        keys.check_tag(tag, _statement(keys, nickname, paths), None)
    except sealing.SealError as failure:
        raise KeystoreError(
            f"the link of {nickname!r} was altered outside mailfront and is not followed",
            remedy=f"make it again: msgcert link {nickname} --cert FILE",
        ) from failure
    certificate, key, chain = (Path(os.fsdecode(path)) if path else None for path in paths)
    assert certificate is not None
    return Link(nickname, certificate, key, chain)


def _statement(keys: sealing.DatabaseKeys, nickname: str, paths: list[bytes]) -> bytes:
    return sealing.binding(b"mailfront link 1", keys.identity, nickname.encode(), *paths)
