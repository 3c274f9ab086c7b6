"""String preparation of LDAP (RFC 4518): the form in which two spellings of one value are equal.

Takes a text, returns a text that is equal for equal values and differs for others. The tables are
those of RFC 3454 in Python's `stringprep`; the mapping of section 2.2 and the insignificant
spaces of section 2.6.1 are LDAP's own. Runs of spaces become one, where the RFC writes two: what
is compared stays the same. A value that the RFC prohibits (section 2.4) matches nothing by it;
here it equals itself to the letter, so that a directory and a certificate which both hold a
character younger than Unicode 3.2 agree.
"""

from __future__ import annotations

import re
import stringprep
from unicodedata import ucd_3_2_0

# RFC 4518 section 2.2.
_TO_NOTHING = re.compile(
    "[\u00ad\u1806\u034f\u180b-\u180d\ufe00-\ufe0f\ufffc\u0000-\u0008\u000e-\u001f"
    "\u007f-\u0084\u0086-\u009f\u06dd\u070f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2063"
    "\u206a-\u206f\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
_TO_SPACE = re.compile("[\t-\r\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_REPLACEMENT_CHARACTER = "\ufffd"
_SPACES = re.compile(" +")
_PROHIBITED_MARK = "\0"


def prepare(text: str, *, fold_case: bool = True) -> str:
    """Return the form of `text` that caseIgnoreMatch compares, or, without `fold_case`,
    caseExactMatch."""
    if text.isascii() and text.isprintable():
        folded = text.lower() if fold_case else text
        return _one_space(folded)
    mapped = _TO_SPACE.sub(" ", _TO_NOTHING.sub("", text))
    if fold_case:
        mapped = "".join(map(stringprep.map_table_b2, mapped))
    normal = ucd_3_2_0.normalize("NFKC", mapped)
    if any(map(_is_prohibited, normal)):
        return _PROHIBITED_MARK + text
    return _one_space(normal)


def _one_space(text: str) -> str:
    """Drop the spaces at the ends and all but one of a run (section 2.6.1).

    A space before a combining mark is a letter of its own.
    """
    if text.isascii():
        return _SPACES.sub(" ", text).strip(" ")
    kept: list[str] = []
    for position, character in enumerate(text):
        following = text[position + 1 : position + 2]
        if character == " " and not _is_combining(following):
            if kept and kept[-1] != "":
                kept.append("")
        else:
            kept.append(character)
    if kept and kept[-1] == "":
        kept.pop()
    return "".join(piece or " " for piece in kept)


def _is_combining(character: str) -> bool:
    return bool(character) and ucd_3_2_0.category(character).startswith("M")


def _is_prohibited(character: str) -> bool:
    # RFC 4518 section 2.4: unassigned, private use, non-characters, surrogates.
    return (
        stringprep.in_table_a1(character)
        or stringprep.in_table_c3(character)
        or stringprep.in_table_c4(character)
        or stringprep.in_table_c5(character)
        or character == _REPLACEMENT_CHARACTER
    )
