"""Search in memory: which users of one version of `users.ldif` fulfil a filter.

Takes the entries and what finds them by name; a filter that asks for equality is answered from an
index. Addresses and `uid` have theirs from the start, any other attribute gets one when it is
first asked for. Without an equality all entries are looked through. What takes long is done in a
thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from mailfront.directory.entry import Entry
from mailfront.errors import AddressError, DistinguishedNameError
from mailfront.protocol.attribute_types import spellings
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import And, Equal, Filter, comparable_value, matches
from mailfront.protocol.mail_address import canonical_address

MAXIMUM_INDEXES = 8
"""So many attributes get an index of their own; further ones are looked for in all entries."""

FEW_ENTRIES = 2000
"""So many are looked through without a thread."""

MANY_DOMAINS = 1000
"""With more domains than these `uid` gets an index of its own."""

_ADDRESSES = frozenset(("mail", "e", "mailalternateaddress", "mailequivalentaddress"))


class EntrySearch:
    """The entries of one version, found by `by_address` and `by_login` or by filter."""

    def __init__(
        self,
        by_address: Mapping[str, Entry],
        by_login: Mapping[str, Entry],
        domains: frozenset[str],
    ) -> None:
        self._by_address = by_address
        self._by_login = by_login
        self._domains = domains
        self._indexes: dict[str, dict[str | bytes, list[Entry]]] = {}

    async def find(
        self, base: DistinguishedName | None, condition: Filter, limit: int
    ) -> list[Entry]:
        """Return at most `limit` entries below `base` that fulfil `condition`."""
        candidates = self._at_hand(condition)
        if candidates is None and len(self._by_address) > FEW_ENTRIES:
            return await asyncio.to_thread(self._find, base, condition, limit)
        return self._find(base, condition, limit)

    def _find(self, base: DistinguishedName | None, condition: Filter, limit: int) -> list[Entry]:
        candidates: Iterable[Entry] | None = self._at_hand(condition)
        if candidates is None:
            candidates = self._from_new_index(condition)
        if candidates is None:
            candidates = self._entries()
        fitting = (
            entry
            for entry in candidates
            if matches(condition, entry.attributes()) and _is_within(entry, base)
        )
        return list(islice(fitting, limit))

    def _entries(self) -> Iterable[Entry]:
        return (entry for address, entry in self._by_address.items() if address == entry.user)

    def _at_hand(self, condition: Filter) -> Sequence[Entry] | None:
        """Return the candidates that an index gives at once, or None."""
        answers = [
            answer for part in _equalities(condition) if (answer := self._known(part)) is not None
        ]
        return min(answers, key=len, default=None)

    def _known(self, condition: Equal) -> Sequence[Entry] | None:
        name, value = condition.attribute.lower(), condition.value
        if isinstance(value, str):
            if name in _ADDRESSES:
                return self._with_address(value)
            if name in spellings("uid") and len(self._domains) <= MANY_DOMAINS:
                return self._with_uid(value)
        index = self._indexes.get(_index_name(condition))
        return None if index is None else index.get(_key(condition), ())

    def _with_address(self, value: str) -> Sequence[Entry]:
        try:
            entry = self._by_address.get(canonical_address(value))
        except AddressError:
            return ()
        return () if entry is None else (entry,)

    def _with_uid(self, value: str) -> Sequence[Entry]:
        uid = comparable_value("uid", value)
        logins = (self._by_login.get(f"{uid}@{domain}") for domain in self._domains)
        return [entry for entry in logins if entry is not None]

    def _from_new_index(self, condition: Filter) -> Sequence[Entry] | None:
        for part in _equalities(condition):
            if len(self._indexes) < MAXIMUM_INDEXES:
                index: dict[str | bytes, list[Entry]] = {}
                for entry in self._entries():
                    for key in _held_keys(part, entry):
                        index.setdefault(key, []).append(entry)
                self._indexes[_index_name(part)] = index
                return index.get(_key(part), ())
        return None


def _equalities(condition: Filter) -> list[Equal]:
    """The equalities of which each must hold."""
    if isinstance(condition, Equal):
        return [condition]
    if isinstance(condition, And):
        return [equality for part in condition.parts for equality in _equalities(part)]
    return []


def _index_name(condition: Equal) -> str:
    kind = type(condition.value).__name__
    return f"{condition.attribute.lower()} {kind}"


def _key(condition: Equal) -> str | bytes:
    value = condition.value
    if isinstance(value, DistinguishedName):
        return repr(_comparable(value))
    if isinstance(value, str):
        return comparable_value(condition.attribute, value) or ""
    return value


def _held_keys(condition: Equal, entry: Entry) -> Iterable[str | bytes]:
    """The keys of the values that `entry` holds in the attribute of `condition`."""
    name, semicolon, options = condition.attribute.lower().partition(";")
    attributes = entry.attributes()
    for spelling in spellings(name):
        for held in attributes.get(f"{spelling}{semicolon}{options}", ()):
            if isinstance(condition.value, bytes):
                yield held
            elif isinstance(condition.value, str):
                text = comparable_value(condition.attribute, held)
                if text is not None:
                    yield text
            else:
                parsed = _parsed(held)
                if parsed is not None:
                    yield repr(_comparable(parsed))


def _comparable(name: DistinguishedName) -> list[list[tuple[str, str | bytes]]]:
    return [sorted(part, key=repr) for part in name.comparable]


def _parsed(held: bytes) -> DistinguishedName | None:
    try:
        return DistinguishedName.parse(held.decode("utf-8"))
    except (UnicodeDecodeError, DistinguishedNameError):
        return None


def _is_within(entry: Entry, base: DistinguishedName | None) -> bool:
    if base is None:
        return True
    name = _parsed(entry.dn.encode())
    return name is not None and name.is_within(base)
