"""Delivery into several mailboxes at once: one file, linked into each, all or none.

Order: the message is written and synced in the first Maildir's `tmp/`, linked into the `tmp/` of
the others, so that nearly all that can fail has happened before anything is visible; then each is
renamed into its `new/`, and each `new/` is synced. A crash before the end may leave some of the
copies in place although nobody was told that the message was taken: the sender tries again and
these recipients get it twice, never not at all (RFC 5321 section 6.1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailfront.configuration.durable_file import sync_directory
from mailfront.store.maildir import Maildir, link_or_copy, sized_key, split_name, unique_name


def deliver_to_all(
    maildirs: Sequence[Maildir], chunks: Iterable[bytes], internal_date: int | None = None
) -> None:
    """Place a message in `new/` of every Maildir; durable on return.

    Raises `OSError`; then it is in none of them any more.
    """
    spooled = maildirs[0].spool(chunks)
    waiting: list[tuple[Maildir, Path]] = [(maildirs[0], spooled.path)]
    placed: list[tuple[Maildir, str]] = []
    try:
        spooled.finish(internal_date)
        for maildir in maildirs[1:]:
            link = maildir.tmp / unique_name()
            waiting.append((maildir, link))
            link_or_copy(spooled.path, link)
        for maildir, path in waiting:
            key = sized_key(path.name, spooled.size, spooled.size)
            path.rename(maildir.new / key)
            placed.append((maildir, key))
        for maildir in maildirs:
            sync_directory(maildir.new)
    except BaseException:
        for maildir, key in placed:
            _take_back(maildir, key)
        raise
    finally:
        for _, path in waiting:
            path.unlink(missing_ok=True)


def _take_back(maildir: Maildir, key: str) -> None:
    with contextlib.suppress(OSError):
        (maildir.new / key).unlink(missing_ok=True)
        # A session may have moved it to cur/ meanwhile.
        for name in maildir.names_in(maildir.cur):
            if split_name(name)[0] == key:
                (maildir.cur / name).unlink(missing_ok=True)
