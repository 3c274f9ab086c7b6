"""The contract of POP before SMTP: who logged in to read mail, from where, a short while ago."""

from __future__ import annotations

from typing import Protocol


class RecentLogins(Protocol):
    """Logins by POP3 and IMAP over TLS, as long as they count."""

    def note(self, address: str, user: str, addresses: frozenset[str]) -> None:
        """`user`, whose mail has `addresses` as senders, logged in from the IP address `address`.
        Never waits."""
        ...

    async def knows(self, address: str) -> bool:
        """Whether anybody logged in from this IP address."""
        ...

    async def user_of(self, address: str, sender: str) -> str | None:
        """The user who logged in from this IP address and whose `sender` (canonical) is; without
        a sender, the last one who did."""
        ...
