"""SASLprep (RFC 4013): how SCRAM clients prepare a password before they derive keys from it.

Takes a text, returns its prepared form, or an empty text for one that the profile forbids.
"""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable

# RFC 4013 section 2.3.
_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3,
    stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6,
    stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9,
)  # fmt: skip


def saslprep(text: str) -> str:
    """Return the stored string (unassigned code points are prohibited)."""
    mapped = "".join(
        " " if stringprep.in_table_c12(sign) else sign
        for sign in text
        if not stringprep.in_table_b1(sign)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(stringprep.in_table_a1(sign) for sign in prepared):
        return ""
    if any(is_prohibited(sign) for sign in prepared for is_prohibited in _PROHIBITED):
        return ""
    return prepared if _directions_agree(prepared) else ""


def _directions_agree(text: str) -> bool:
    """RFC 3454 section 6."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    if any(map(stringprep.in_table_d2, text)):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
