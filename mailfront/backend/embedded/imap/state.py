"""What a command of an authenticated IMAP session works with: its store, view and output.

`Session` gathers output and hands it to the client in pieces, waiting for a slow client and giving
other sessions their turn in between. No lock is held while it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, ParamSpec, TypeVar

from mailfront.backend.client_stream import ClientStream
from mailfront.backend.embedded.imap.view import View
from mailfront.errors import MailboxError
from mailfront.interfaces.tasks import start_task
from mailfront.store.account import Account
from mailfront.store.mail_store import INLINE_MESSAGES, MailStore
from mailfront.store.mailbox import Mailbox

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Output is handed on in pieces of about this size.
CHUNK = 64 * 1024
# Messages worked on before other sessions get their turn.
BATCH = 250


class _Failure(NamedTuple):
    error: Exception


async def _outcome(work: Coroutine[Any, Any, Result]) -> Result | _Failure:
    try:
        return await work
    except Exception as error:
        return _Failure(error)


class Session:
    """The state of one session. `unfinished` is True while a response is only half sent: after an
    error there, nothing sensible can follow and the connection is cut."""

    __slots__ = (
        "_output", "_waiting", "account", "append_limit", "leaving", "store", "stream",
        "unfinished", "view",
    )  # fmt: skip

    def __init__(
        self, stream: ClientStream, store: MailStore, account: Account, append_limit: int
    ) -> None:
        self.stream = stream
        self.store = store
        self.account = account
        self.append_limit = append_limit
        self.view: View | None = None
        self.unfinished = False
        self.leaving = False
        self._output: list[bytes] = []
        self._waiting = 0

    @property
    def selected(self) -> View:
        """The selected mailbox, for commands that are legal only then."""
        assert self.view is not None
        return self.view

    def require_writable(self) -> View:
        """The selected mailbox; raises `MailboxError` after EXAMINE."""
        view = self.selected
        if view.read_only:
            raise MailboxError("The mailbox was opened read-only", code="CANNOT")
        return view

    def deselect(self) -> None:
        """Go back to the authenticated state."""
        if self.view is not None:
            view, self.view = self.view, None
            view.close()

    async def open(self, name: str, *, for_messages: bool = False) -> Mailbox:
        """Open a mailbox, up to date; the caller closes it.

        With `for_messages`, a missing one is reported with TRYCREATE (RFC 3501 §6.3.11, §6.4.7).
        """
        try:
            return await self.store.open_mailbox(self.account, name)
        except MailboxError as error:
            if for_messages and error.code == "NONEXISTENT":
                raise MailboxError(str(error), code="TRYCREATE") from error
            raise

    async def run(
        self,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Call a blocking function of the store in a thread.

        When the session is cancelled meanwhile, it waits for the end of the call: what the
        function works on is closed afterwards.
        """
        # The outcome is carried as a value: a refusal is for the client, not a failed task.
        work = start_task(
            _outcome(self.store.run(function, *arguments, **named)), name="imap-store"
        )
        try:
            outcome = await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            raise
        if isinstance(outcome, _Failure):
            raise outcome.error
        return outcome

    async def perform(
        self,
        messages: int,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Call a function that touches so many messages of the selected mailbox: inline if they
        are few and no thread is at work there, else `run`."""
        if messages <= INLINE_MESSAGES:
            with self.selected.mailbox.held() as free:
                if free:
                    return function(*arguments, **named)
        return await self.run(function, *arguments, **named)

    def write(self, data: bytes) -> None:
        """Queue output without waiting, for what is short."""
        self._output.append(data)
        self._waiting += len(data)

    async def send(self, data: bytes) -> None:
        """Queue output; when much is queued, wait until the client has taken it."""
        self._output.append(data)
        self._waiting += len(data)
        if self._waiting >= CHUNK:
            await self.flush()
            await asyncio.sleep(0)

    async def flush(self) -> None:
        """Hand all queued output to the client."""
        if self._output:
            data = b"".join(self._output)
            self._output.clear()
            self._waiting = 0
            self.stream.write(data)
        await self.stream.drain()

    async def send_updates(self, *, expunges: bool) -> None:
        """Tell the client what changed in the selected mailbox."""
        if self.view is not None:
            await self.view.mailbox.refresh()
            for response in self.view.updates(expunges=expunges):
                await self.send(response)
