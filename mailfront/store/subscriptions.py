"""Which mailboxes a user subscribed to: one file in the Maildir, a directory name per line.

The same form as other Maildir++ servers use: the name without its leading dot, levels separated by
dots, in modified UTF-7.
"""

from __future__ import annotations

from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.errors import MailboxError
from mailfront.store.file_lock import locked
from mailfront.store.folder_name import INBOX, directory_of_name, name_of_directory

SUBSCRIPTIONS_FILE = "subscriptions"
LOCK_FILE = "mailfront-subscriptions.lock"
MOST_SUBSCRIPTIONS = 10_000


class Subscriptions:
    """Takes the Maildir's directory. Every method reads the file anew: it is small."""

    def __init__(self, maildir: Path) -> None:
        self._path = maildir / SUBSCRIPTIONS_FILE
        self._lock_path = maildir / LOCK_FILE

    def names(self) -> list[str]:
        """Subscribed names in the order of the file. Raises `OSError`."""
        try:
            lines = self._path.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        names = (name_of_directory("" if line == INBOX else f".{line}") for line in lines if line)
        return list(dict.fromkeys(name for name in names if name is not None))

    def change(self, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
        """Add and remove canonical names, durably.

        Raises `MailboxError` (LIMIT) for too many, `OSError`.
        """
        with locked(self._lock_path):
            present = self.names()
            wanted = [name for name in dict.fromkeys((*present, *add)) if name not in remove]
            if wanted == present:
                return
            if len(wanted) > MOST_SUBSCRIPTIONS:
                raise MailboxError("too many subscriptions", code="LIMIT")
            lines = [directory_of_name(name).removeprefix(".") or INBOX for name in wanted]
            write_durably(self._path, "".join(f"{line}\n" for line in lines).encode("utf-8"))
