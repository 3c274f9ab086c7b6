"""The mail of all users under one directory, and the threads in which long work is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from mailfront.store.account import Account

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Work on more messages than this is done in a thread; a thread costs about 0.1 ms, a message
# about 0.05 ms.
INLINE_MESSAGES = 20


class MailStore:
    """Takes the directory; `<root>/<domain>/<local part>/Maildir` is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def account(self, user: str) -> Account:
        """The account of a canonical address; made on disk if it is new (blocks).

        Raises `BackendError` if `user` cannot be a directory name.
        """
        raise NotImplementedError

    async def run(
        self,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Call a blocking function in one of the store's threads."""
        raise NotImplementedError

    async def perform(
        self,
        messages: int,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Call a function that touches so many messages: inline if they are few, else `run`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the threads and close every mailbox."""
        raise NotImplementedError
