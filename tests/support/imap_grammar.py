"""Does a response follow the grammar of RFC 9051? For what only RFC 3501 has, its nearest kin.

ABNF cannot count a literal's octets: they are counted here, and a short string is parsed in the
literal's place.
"""

from __future__ import annotations

import re
from functools import lru_cache

from abnf.grammars import rfc9051

_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_OF_RFC_3501 = (
    (re.compile(rb"^\* LSUB "), b"* LIST "),
    (re.compile(rb"\bRFC822 (?=\")"), b"BODY[] "),
    (re.compile(rb"\bRFC822\.(HEADER|TEXT) (?=\")"), rb"BODY[\1] "),
    (re.compile(rb"\bRECENT (\d+)(?=[ )])"), rb"MESSAGES \1"),
    (re.compile(rb"^\* CAPABILITY "), b"* CAPABILITY IMAP4rev2 "),
)
_ID = re.compile(rb'\* ID \("name" "[^"\\]+"\)\r\n')


def split_responses(data: bytes) -> tuple[list[bytes], bytes]:
    """Complete responses, literals included, and the rest."""
    responses = []
    start = position = 0
    while (end := data.find(b"\r\n", position)) >= 0:
        position = end + 2
        announced = re.search(rb"\{(\d+)\}\r\n\Z", data[max(start, end - 30) : position])
        if announced:
            position += int(announced[1])
            if position > len(data):
                break
            continue
        responses.append(data[start:position])
        start = position
    return responses, data[start:]


def check_response(response: bytes) -> None:
    """Fail unless `response` (one, with its CRLF) is well-formed."""
    text = _without_literals(response)
    if _ID.fullmatch(text):
        return
    for pattern, kin in _OF_RFC_3501:
        text = pattern.sub(kin, text)
    if text.startswith(b"+"):
        rule = "continue-req"
    else:
        rule = "response-data" if text.startswith(b"* ") else "response-tagged"
    _parse(rule, re.sub(rb"\b\d+\b", _short_number, text))


def _short_number(match: re.Match[bytes]) -> bytes:
    # Fewer distinct texts to parse; dates keep their two and four digits.
    digits = match.group()
    return digits if len(digits) in (2, 4) or digits == b"0" else b"7"


@lru_cache(maxsize=10_000)
def _parse(rule: str, text: bytes) -> None:
    rfc9051.Rule(rule).parse_all(text.decode("latin-1"))


def _without_literals(response: bytes) -> bytes:
    pieces = []
    start = 0
    while match := _LITERAL.search(response, start):
        pieces += [response[start : match.start()], b'"literal"']
        start = match.end() + int(match.group(1))
    return b"".join([*pieces, response[start:]])
