"""What is announced before the login, out of what the upstreams announce: what all of them have.

Takes the capabilities of each upstream that is known; gives the words for our own CAPABILITY (RFC
9051 section 7.2.2) or CAPA (RFC 2449). What concerns the way to an upstream is between us and it,
and how to log in here is ours to say.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

# Ours until the login: what they promise is done before a session is handed over.
_IMAP_OURS = frozenset({b"IMAP4REV1", b"SASL-IR", b"ID", b"LITERAL+", b"LITERAL-"})
# Between the upstream and us; or (referrals, RFC 2221) a way around us; or (RFC 8437) a way back
# to a login that is not ours any more.
_IMAP_WITHHELD = frozenset(
    {b"STARTTLS", b"LOGINDISABLED", b"LOGIN-REFERRALS", b"MAILBOX-REFERRALS", b"UNAUTHENTICATE"}
)
_WORD = re.compile(rb"[!#$&'+,./0-9:;<=>?@A-Z^_`a-z|}~-]{1,64}")
_MOST_WORDS = 100
_POP_WORDS = (b"TOP", b"UIDL", b"RESP-CODES", b"PIPELINING")
# RFC 2449 sections 6.5 and 6.7: with values, which must be everybody's.
_POP_VALUE = re.compile(rb"(?:EXPIRE|LOGIN-DELAY) [0-9A-Z]{1,20}(?: USER)?")


@lru_cache(maxsize=256)
def passed_on(announced: bytes) -> bytes:
    """What of an IMAP upstream's capabilities a client of ours may hear; most say the same at
    each login."""
    return b" ".join(_ours_to_tell(announced))


def _ours_to_tell(announced: bytes) -> list[bytes]:
    return [
        word
        for word in announced.split()[:_MOST_WORDS]
        if _WORD.fullmatch(word)
        and word.upper() not in _IMAP_WITHHELD
        and not word.upper().startswith(b"AUTH=")
    ]


def imap_offer(known: Collection[bytes]) -> tuple[bytes, ...]:
    """What IMAP clients are told before the login; with nothing known, what holds anywhere."""
    sets = [set(passed_on(announced).upper().split()) for announced in known]
    common = set.intersection(*sets) if sets else set()
    literals: tuple[bytes, ...] = ()
    if b"LITERAL+" in common:
        literals = (b"LITERAL+",)
    elif sets and all(each & {b"LITERAL+", b"LITERAL-"} for each in sets):
        # RFC 7888 section 5: whoever takes all of them takes the short ones.
        literals = (b"LITERAL-",)
    others = [
        word
        for word in _ours_to_tell(min(known, default=b"", key=len))
        if word.upper() in common - _IMAP_OURS
    ]
    return (b"IMAP4rev1", *literals, b"SASL-IR", b"ID", *dict.fromkeys(others))


def pop_offer(known: Collection[bytes]) -> tuple[bytes, ...]:
    """What POP3 clients are told before the login, a line each; so are the upstreams' words."""
    sets = [{*announced.upper().split(b"\r\n")[:_MOST_WORDS]} for announced in known]
    common = set.intersection(*sets) if sets else set()
    words = [word for word in _POP_WORDS if word in common]
    values = sorted(line for line in common if _POP_VALUE.fullmatch(line))
    return (*words, b"AUTH-RESP-CODE", *values)
