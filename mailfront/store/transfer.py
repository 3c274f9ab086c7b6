"""COPY and MOVE between two mailboxes of one account, without copying bytes.

A copy is a hard link: files in a Maildir never change their content. A move is a rename, so that
at every moment, crash or not, the message stands in exactly one of the two mailboxes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mailfront.store.index import FileRow
from mailfront.store.maildir import link_or_copy, sized_key, unique_name
from mailfront.store.storage import MailboxStorage

# Cached values are carried over in portions, since each may hold some kilobytes.
CACHED_PORTION = 200


class Transferred(NamedTuple):
    """Pairs (UID in the source, UID in the target), and UIDs whose file was not found."""

    pairs: list[tuple[int, int]]
    misplaced: list[int]


def copy(source: MailboxStorage, target: MailboxStorage, uids: Sequence[int]) -> Transferred:
    """Copy messages with flags, keywords, dates and cached values: all found or none."""
    with source.index.lock:
        rows = source.index.file_rows(uids)
    links: list[Path] = []
    linked: list[FileRow] = []
    misplaced: list[int] = []
    placed: list[Path] = []
    try:
        for row in rows:
            link = target.maildir.tmp / unique_name()
            try:
                link_or_copy(source.maildir.file(row.key, row.letters), link)
            except FileNotFoundError:
                misplaced.append(row.uid)
                continue
            links.append(link)
            linked.append(row)
        with _both_locked(source, target), target.change():
            modseq = target.index.next_modseq()
            new_rows = [
                _row_for(target, row, link, modseq) for row, link in zip(linked, links, strict=True)
            ]
            for row, link in zip(new_rows, links, strict=True):
                path = target.maildir.file(row.key, row.letters)
                link.rename(path)
                placed.append(path)
            pairs = _insert(source, target, linked, new_rows)
    except BaseException:
        for path in (*links, *placed):
            path.unlink(missing_ok=True)
        raise
    return Transferred(pairs, misplaced)


def move(source: MailboxStorage, target: MailboxStorage, uids: Sequence[int]) -> Transferred:
    """Move messages. The two mailboxes must differ."""
    moved: list[tuple[Path, Path]] = []
    linked: list[FileRow] = []
    new_rows: list[FileRow] = []
    misplaced: list[int] = []
    try:
        with _both_changing(source, target):
            modseq = target.index.next_modseq()
            for row in source.index.file_rows(uids):
                old = source.maildir.file(row.key, row.letters)
                try:
                    new_row = _row_for(target, row, old, modseq)
                    new = target.maildir.file(new_row.key, new_row.letters)
                    old.rename(new)
                except FileNotFoundError:
                    misplaced.append(row.uid)
                    continue
                moved.append((old, new))
                linked.append(row)
                new_rows.append(new_row)
            pairs = _insert(source, target, linked, new_rows)
            if linked:
                source.index.remove([row.uid for row in linked], source.index.next_modseq())
    except BaseException:
        for old, new in moved:
            with contextlib.suppress(FileNotFoundError):
                new.rename(old)
        raise
    return Transferred(pairs, misplaced)


def _row_for(target: MailboxStorage, row: FileRow, file: Path, modseq: int) -> FileRow:
    keywords = row.keywords
    if keywords:
        keywords = " ".join(sorted(target.index.known_keywords(keywords.split())))
    # Where no line ends are converted, the index knows the size on disk.
    size_on_disk = file.stat().st_size if row.bare_lf else row.size
    key = sized_key(unique_name(), size_on_disk, row.size)
    return row._replace(uid=0, key=key, keywords=keywords, modseq=modseq)


def _insert(
    source: MailboxStorage,
    target: MailboxStorage,
    rows: Sequence[FileRow],
    new_rows: Sequence[FileRow],
) -> list[tuple[int, int]]:
    new_uids = target.index.insert(new_rows)
    pairs = [(row.uid, new_uid) for row, new_uid in zip(rows, new_uids, strict=True)]
    for start in range(0, len(pairs), CACHED_PORTION):
        portion = dict(pairs[start : start + CACHED_PORTION])
        cached = source.index.cached_values(list(portion))
        target.index.set_cached_values({portion[uid]: value for uid, value in cached.items()})
    return pairs


@contextlib.contextmanager
def _both_locked(one: MailboxStorage, other: MailboxStorage) -> Iterator[None]:
    # One order for everybody, whichever way the messages go: no deadlock.
    first, second = sorted((one, other), key=lambda storage: storage.maildir.path)
    with first.index.lock, second.index.lock:
        yield


@contextlib.contextmanager
def _both_changing(one: MailboxStorage, other: MailboxStorage) -> Iterator[None]:
    first, second = sorted((one, other), key=lambda storage: storage.maildir.path)
    with first.change(), second.change():
        yield
