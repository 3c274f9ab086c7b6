"""What the standing policies ask of DNS: the texts of TXT records (RFC 1035 section 3.3.14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dns.rdtypes.ANY.TXT import TXT

from mailfront.outgoing.resolver import Resolver


class TextRecords(Protocol):
    """Looks up TXT records."""

    async def texts(self, name: str) -> Sequence[str]:
        """Return the texts of the TXT records at `name`, each with its strings joined; none if
        there is no such name. Raises `MailfrontError` if that cannot be told now."""
        ...


class ResolvedTexts:
    """The `TextRecords` of the configured name servers."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def texts(self, name: str) -> Sequence[str]:
        """Part of `TextRecords`. An octet that is not ASCII becomes a character that stands in no
        record of ours."""
        answer = await self._resolver.lookup(name, "TXT")
        return [
            b"".join(record.strings).decode("ascii", "replace")
            for record in answer.records
            if isinstance(record, TXT)
        ]
