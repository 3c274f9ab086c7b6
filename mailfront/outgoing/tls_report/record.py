"""The TXT record by which a domain asks for reports (RFC 8460 section 3).

Takes the texts of the TXT records at `_smtp._tls.DOMAIN`, gives where reports go. Total: any text
gives some addresses or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from mailfront.errors import AddressError
from mailfront.protocol.mail_address import canonical_address

PREFIX = "_smtp._tls."
_LONGEST = 4096
_MOST_PLACES = 10
_BEGIN = re.compile(r"v=TLSRPTv1[ \t]*;")
_DELIMITER = re.compile(r"[ \t]*;[ \t]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a report goes: to a mail `address`, else by POST to `url`."""

    address: str = ""
    url: str = ""

    def __str__(self) -> str:
        return self.url or f"mailto:{self.address}"


def report_places(texts: Iterable[str]) -> tuple[Place, ...]:
    """Return where the one record of version TLSRPTv1 wants reports; nothing if there is no such
    record, more than one, or it is malformed."""
    records = [text for text in texts if _BEGIN.match(text)]
    if len(records) != 1 or len(records[0]) > _LONGEST:
        return ()
    fields = [field.partition("=") for field in _DELIMITER.split(records[0].strip(" \t"))[1:]]
    wanted = [value for name, _, value in fields if name == "rua"]
    if len(wanted) != 1:
        return ()
    return tuple(dict.fromkeys(_places(wanted[0])))[:_MOST_PLACES]


def _places(text: str) -> Iterator[Place]:
    for item in text.split(","):
        uri = item.strip(" \t")
        scheme, _, rest = uri.partition(":")
        if scheme.lower() == "mailto":
            try:
                # What follows ? are fields that nobody has to set (RFC 6068).
                address = canonical_address(unquote(rest.partition("?")[0]))
            except AddressError:
                continue
            if address.isascii():
                yield Place(address=address)
        elif scheme.lower() == "https" and _is_url(uri):
            yield Place(url=uri)


def _is_url(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0 and uri.isascii() and uri.isprintable()
    except ValueError:
        return False
