"""Patterns of LIST: `*` matches anything, `%` anything within one level (RFC 3501 §6.3.8).

All places in the pattern that a name may have reached are kept as bits of one number, so matching
takes one step per character whatever the pattern; no pattern makes it slow.
"""

from __future__ import annotations

import re

from mailfront.protocol.imap.mailbox_name import DELIMITER

_WILDCARDS = re.compile(r"[*%]{2,}")


class MailboxPattern:
    """A decoded pattern, reference included."""

    def __init__(self, pattern: str) -> None:
        self._symbols = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
        self.has_level_wildcard = "%" in self._symbols
        self._masks: dict[bool, dict[str, int]] = {}
        self._any = self._bits("*")
        self._level = self._bits("%")

    def matches(self, name: str, *, ignore_case: bool = False) -> bool:
        """Whether the whole of `name` matches."""
        masks = self._masks_for(ignore_case=ignore_case)
        wild = self._any | self._level
        states = 1
        states |= (states & wild) << 1
        for character in name.upper() if ignore_case else name:
            staying = states & (self._any if character == DELIMITER else wild)
            states = staying | (states & masks.get(character, 0)) << 1
            if not states:
                return False
            states |= (states & wild) << 1
        return bool(states >> len(self._symbols))

    def _bits(self, wanted: str) -> int:
        return sum(1 << place for place, symbol in enumerate(self._symbols) if symbol == wanted)

    def _masks_for(self, *, ignore_case: bool) -> dict[str, int]:
        masks = self._masks.get(ignore_case)
        if masks is None:
            masks = self._masks[ignore_case] = {}
            for place, symbol in enumerate(self._symbols):
                if symbol not in "*%":
                    folded = symbol.upper() if ignore_case else symbol
                    masks[folded] = masks.get(folded, 0) | 1 << place
        return masks
