"""Delivery into several mailboxes at once: one file, linked into each, all or none.

Order: the message is written and synced in the first Maildir's `tmp/`, linked into the `tmp/` of
the others, so that nearly all that can fail has happened before anything is visible; then each is
renamed into its `new/`, and each `new/` is synced. A crash before the end may leave some of the
copies in place although nobody was told that the message was taken: the sender tries again and
these recipients get it twice, never not at all (RFC 5321 section 6.1).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailfront.configuration.durable_file import sync_directory
from mailfront.store.maildir import (
    Maildir,
    link_or_copy,
    sized_key,
    split_name,
    unique_name,
    write_new_file,
)


def deliver_to_all(
    maildirs: Sequence[Maildir], chunks: Iterable[bytes], internal_date: int | None = None
) -> None:
    """Place a message in `new/` of every Maildir; durable on return.

    Raises `OSError`; then it is in none of them any more.
    """
    # Each message passes here: `Path` objects would cost more than what they are used for.
    names = [unique_name() for _ in maildirs]
    waiting = [
        f"{maildir.path}/tmp/{name}"  # noqa: S108
        for maildir, name in zip(maildirs, names, strict=True)
    ]
    placed = 0
    keys: list[str] = []
    size = write_new_file(waiting[0], chunks, internal_date)
    try:
        for link in waiting[1:]:
            link_or_copy(waiting[0], link)
        keys = [sized_key(name, size, size) for name in names]
        for maildir, path, key in zip(maildirs, waiting, keys, strict=True):
            os.rename(path, f"{maildir.path}/new/{key}")  # noqa: PTH104
            placed += 1
        for maildir in maildirs:
            sync_directory(f"{maildir.path}/new")
    except BaseException:
        for maildir, key in zip(maildirs[:placed], keys, strict=False):
            _take_back(maildir, key)
        for path in waiting[placed:]:
            Path(path).unlink(missing_ok=True)
        raise


def _take_back(maildir: Maildir, key: str) -> None:
    with contextlib.suppress(OSError):
        (maildir.new / key).unlink(missing_ok=True)
        # A session may have moved it to cur/ meanwhile.
        for name in maildir.names_in(maildir.cur):
            if split_name(name)[0] == key:
                (maildir.cur / name).unlink(missing_ok=True)
