"""Small records of the store: a message's facts, a mailbox's counts, outcomes of changes."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from mailfront.store.flags import FlagSet


class MessageRecord(NamedTuple):
    """What the index knows of a message without opening its file.

    `size` in octets with CRLF line ends; `internal_date` in seconds since the epoch; `modseq` is
    the modification sequence of its last flag change (RFC 7162).
    """

    uid: int
    size: int
    internal_date: int
    flags: FlagSet
    modseq: int


class MailboxStatus(NamedTuple):
    """The counts of STATUS (RFC 9051 section 6.3.11); `size` is the sum of all message sizes."""

    messages: int
    unseen: int
    deleted: int
    size: int
    uid_next: int
    uid_validity: int
    highest_modseq: int
    recent: int


class FlagChange(Enum):
    """What STORE does with the flags it names."""

    ADD = "+FLAGS"
    REMOVE = "-FLAGS"
    REPLACE = "FLAGS"


class StoreOutcome(NamedTuple):
    """UIDs whose flags changed, and those refused because they changed after `unchanged_since`
    (RFC 7162 section 3.1.3). UIDs that are gone are in neither."""

    changed: list[int]
    modified: list[int]


class CachedValues(NamedTuple):
    """Values computed once from a message's bytes and kept in the index; None is "not computed".

    `envelope` and `body_structure` are finished response bytes; `header` is the raw header block
    for searching and HEADER.FIELDS (the engine decides up to which size it is worth keeping).
    """

    envelope: bytes | None = None
    body_structure: bytes | None = None
    header: bytes | None = None
