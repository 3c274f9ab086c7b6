"""One user's mail: the hierarchy of mailboxes in a Maildir++, subscriptions, delivery."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mailfront.store.flags import NO_FLAGS, FlagSet
from mailfront.store.mailbox import Mailbox

SEPARATOR = "/"


class MailboxEntry(NamedTuple):
    r"""One line of a listing.

    `special_use` is an attribute of RFC 6154 (`\Sent`) or empty; `selectable` is False for a name
    that exists only because it has children.
    """

    name: str
    special_use: str
    has_children: bool
    subscribed: bool
    selectable: bool


class Account:
    """Made by `MailStore.account`. Names are Unicode with `/` between levels; INBOX in any case.

    Every method may block on the disk; those that change something return when it is durable.
    They raise `MailboxError` (NONEXISTENT, ALREADYEXISTS, CANNOT) and `BackendError`.
    """

    @property
    def user(self) -> str:
        """The canonical address."""
        raise NotImplementedError

    def list_mailboxes(self) -> list[MailboxEntry]:
        """All mailboxes and their missing parents: INBOX first, then in alphabetical order."""
        raise NotImplementedError

    def subscriptions(self) -> list[str]:
        """Subscribed names, whether or not such a mailbox exists (RFC 9051 section 6.3.7)."""
        raise NotImplementedError

    def subscribe(self, name: str) -> None:
        """Add a name to the subscriptions."""
        raise NotImplementedError

    def unsubscribe(self, name: str) -> None:
        """Take a name from the subscriptions; no error if it was not there."""
        raise NotImplementedError

    def create(self, name: str, special_use: str = "") -> None:
        r"""Create a mailbox; a trailing separator is dropped. `special_use` such as `\Trash`."""
        raise NotImplementedError

    def delete(self, name: str) -> None:
        """Delete a mailbox and its messages; its children stay. INBOX cannot be deleted."""
        raise NotImplementedError

    def rename(self, name: str, new_name: str) -> None:
        """Rename with all children; renaming INBOX moves its messages (RFC 9051 6.3.6)."""
        raise NotImplementedError

    def open(self, name: str) -> Mailbox:
        """The shared object of a mailbox, synchronised; give it back with `close`."""
        raise NotImplementedError

    def special_mailbox(self, special_use: str) -> str | None:
        r"""The name of the mailbox with this role (`\Sent`), if there is one."""
        raise NotImplementedError

    def deliver(
        self,
        chunks: Iterable[bytes],
        mailbox: str = "INBOX",
        flags: FlagSet = NO_FLAGS,
        internal_date: int | None = None,
    ) -> None:
        """Place a message durably; sessions that watch the mailbox learn of it at once."""
        raise NotImplementedError
