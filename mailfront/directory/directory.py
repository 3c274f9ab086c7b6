"""The contract between whoever needs to know of users and where they are kept.

Takes login names and addresses, returns entries. An implementation that can answer from memory
never suspends; one that asks a server raises `DirectoryUnavailableError` when there is no answer
within its time-out, and then nothing is known of the user, good or bad.
"""

from __future__ import annotations

from typing import Protocol

from mailfront.directory.entry import Entry
from mailfront.interfaces.secret import Secret
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Filter


class Directory(Protocol):
    """Users by name and address. Every look-up raises `DirectoryUnavailableError`."""

    @property
    def problem(self) -> str:
        """What is wrong with the directory at present, for the operator; empty if nothing is."""
        ...

    async def entry_for_login(self, login: str, default_domain: str) -> Entry | None:
        """Return the user who logs in as `login`; `default_domain` completes a bare name."""
        ...

    async def entry_for_address(self, address: str) -> Entry | None:
        """Return the user to whom `address` belongs, exactly (no subaddress is taken off)."""
        ...

    async def domains(self) -> frozenset[str]:
        """Return the local domains, in A-labels and lower case."""
        ...

    async def search(
        self, base: DistinguishedName | None, condition: Filter, *, limit: int = 2
    ) -> list[Entry]:
        """Return users below `base` (None: wherever the directory looks for users) that fulfil
        `condition`, at most `limit` of them."""
        ...

    async def verify_password(self, entry: Entry | None, password: Secret) -> bool | None:
        """Return whether the directory takes `password` for the user of `entry`; None if it does
        not judge, and the caller is to compare `entry.password_values`.

        Without an entry (nobody goes by the name that was typed) it takes as long, fails in the
        same ways, and is never True.
        """
        ...
