"""A message while its data comes in, wherever it goes: what a connection needs to know of it."""

from __future__ import annotations

from typing import Protocol

from mailfront.protocol.smtp.reply import Reply


class IncomingMessage(Protocol):
    """Takes octets at any speed; `relieve` is called when they are too many for our memory."""

    @property
    def size(self) -> int:
        """Octets of the message so far."""
        ...

    @property
    def in_memory(self) -> int:
        """Octets that `relieve` would move."""
        ...

    def append(self, data: bytes) -> None:
        """Add received octets, without dot-stuffing. Never waits."""
        ...

    async def relieve(self) -> Reply | None:
        """Move what is in memory to where it belongs; return why the message cannot be taken."""
        ...

    def close(self) -> None:
        """Forget the message, unless it was answered before."""
        ...
