"""Ticket keys that the workers of one machine have from their supervisor.

Takes what the supervisor says, the key that seals first; gives keys as
`tls.session_tickets.KeyRing`. On the way they are plain values, over a pair of sockets that no
other process has. No input or output.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from mailfront.tls.session_tickets import TicketKey


class GivenKeys:
    """The keys that were given last. May be used by several threads."""

    def __init__(self) -> None:
        self._keys: tuple[TicketKey, ...] = ()

    def take(self, keys: Sequence[TicketKey]) -> None:
        """Forget all others."""
        self._keys = tuple(keys)

    def sealing_key(self) -> TicketKey | None:
        """Part of `KeyRing`."""
        return self._keys[0] if self._keys else None

    def opening_key(self, name: bytes) -> TicketKey | None:
        """Part of `KeyRing`."""
        for key in self._keys:
            if hmac.compare_digest(key.name, name):
                return key
        return None


def plain(keys: Sequence[TicketKey]) -> list[dict[str, str]]:
    """Return the keys as plain values."""
    return [
        {
            "name": key.name.hex(),
            "authentication": key.authentication.hex(),
            "encryption": key.encryption.hex(),
        }
        for key in keys
    ]


def of_plain(values: Sequence[Mapping[str, str]]) -> list[TicketKey]:
    """Return the keys of which `plain` made `values`."""
    return [
        TicketKey(
            0.0,
            bytes.fromhex(each["name"]),
            bytes.fromhex(each["authentication"]),
            bytes.fromhex(each["encryption"]),
        )
        for each in values
    ]
