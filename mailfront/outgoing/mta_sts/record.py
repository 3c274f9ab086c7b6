"""The TXT record that announces a policy (RFC 8461 section 3.1).

Takes the texts of the TXT records at `_mta-sts.DOMAIN`, gives the id of the domain's policy, or
None where the records announce none. Total: any text is one or the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PREFIX = "_mta-sts."
_VERSION = "v=STSv1"
# No TXT record that anybody publishes is longer; a longer one is not looked at.
_LONGEST = 4096
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_DELIMITER = re.compile(r"[ \t]*;[ \t]*")


def policy_id(texts: Iterable[str]) -> str | None:
    """Return the id that the one record of version STSv1 gives; None if there is no such record,
    more than one, or it is malformed."""
    records = [text for text in texts if re.match(rf"{_VERSION}[ \t]*;", text)]
    if len(records) != 1 or len(records[0]) > _LONGEST:
        return None
    fields = _DELIMITER.split(records[0].strip(" \t"))
    if fields[-1] == "":
        fields.pop()
    identities = []
    for field in fields[1:]:
        match = _FIELD.fullmatch(field)
        if match is None:
            return None
        if match[1] == "id":
            identities.append(match[2])
    if len(identities) != 1 or _ID.fullmatch(identities[0]) is None:
        return None
    return identities[0]
