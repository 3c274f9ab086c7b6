"""Message flags: system flags as bits of an int, keywords as a frozenset, Maildir letters.

RFC 9051 section 2.3.2 (system flags, keywords) and the Maildir specification (the letters after
`:2,`). Keywords compare without regard to case; a mailbox keeps the spelling it saw first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SEEN = 1
ANSWERED = 2
FLAGGED = 4
DELETED = 8
DRAFT = 16
# Maildir's P ("passed") is the keyword $Forwarded of RFC 5788; as a bit it survives in the file
# name, so that other Maildir programs see it too. FlagSet shows it as a keyword only.
FORWARDED = 32

SYSTEM_FLAGS: dict[str, int] = {
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Seen": SEEN,
    "\\Draft": DRAFT,
}
_BITS_BY_FOLDED_NAME = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}
_LETTERS = {
    "D": DRAFT,
    "F": FLAGGED,
    "P": FORWARDED,
    "R": ANSWERED,
    "S": SEEN,
    "T": DELETED,
}
FORWARDED_KEYWORD = "$Forwarded"


class FlagSet(NamedTuple):
    """The flags of a message: `system` is a union of the bits above, `keywords` their names."""

    system: int = 0
    keywords: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> FlagSet:
        r"""Build from names as clients write them (`\Seen`, `$Junk`).

        Raises `ValueError` for a name with a backslash that is no settable system flag
        (`\Recent` and `\*` are not).
        """
        system = 0
        keywords = set()
        for name in names:
            if not name.startswith("\\"):
                keywords.add(name)
            elif (bit := _BITS_BY_FOLDED_NAME.get(name.lower())) is not None:
                system |= bit
            else:
                raise ValueError(f"{name} is not a flag that can be set")
        return cls(system, frozenset(keywords))

    def names(self) -> list[str]:
        """The names for a FLAGS answer: system flags, then keywords in alphabetical order."""
        return [name for name, bit in SYSTEM_FLAGS.items() if self.system & bit] + sorted(
            self.keywords
        )


NO_FLAGS = FlagSet()


def bits_of_letters(letters: str) -> int:
    """The bits of the Maildir letters; letters of other programs count nothing."""
    bits = 0
    for letter in letters:
        bits |= _LETTERS.get(letter, 0)
    return bits


def letters_of_bits(bits: int, present: str = "") -> str:
    """The letters for `bits` in ASCII order, as Maildir demands, with those letters of `present`
    that belong to other programs kept."""
    kept = {letter for letter in present if letter not in _LETTERS}
    return "".join(sorted(kept | {letter for letter, bit in _LETTERS.items() if bits & bit}))
