"""Which commands there are after login, in which state, and what else each may tell the client.

One table: a name that is not here is unknown. `needs_mailbox` marks commands of the selected state
(RFC 3501 §3). `expunges` is False where message numbers must not change under the client: while
FETCH, STORE and SEARCH are answered, but not their UID forms (RFC 3501 §7.4.1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from mailfront.backend.embedded.imap import (
    basic,
    copy,
    expunge,
    fetch,
    folders,
    idle,
    search,
    select,
    status,
    store,
)
from mailfront.backend.embedded.imap import list as listing
from mailfront.backend.embedded.imap.state import Session
from mailfront.protocol.imap.lexer import Cursor

Handler = Callable[[Session, Cursor], Awaitable[bytes]]


class Rule(NamedTuple):
    """How a command is carried out."""

    handler: Handler
    needs_mailbox: bool = False
    expunges: bool = True


COMMANDS: dict[bytes, Rule] = {
    b"CAPABILITY": Rule(basic.capability),
    b"CHECK": Rule(basic.noop, needs_mailbox=True),
    b"CLOSE": Rule(select.close, needs_mailbox=True),
    b"COPY": Rule(partial(copy.copy, uid=False), needs_mailbox=True),
    b"CREATE": Rule(folders.create),
    b"DELETE": Rule(folders.delete),
    b"ENABLE": Rule(basic.enable),
    b"EXAMINE": Rule(select.examine),
    b"EXPUNGE": Rule(expunge.expunge, needs_mailbox=True),
    b"FETCH": Rule(partial(fetch.fetch, uid=False), needs_mailbox=True, expunges=False),
    b"ID": Rule(basic.identify),
    b"IDLE": Rule(idle.idle),
    b"LIST": Rule(listing.list_mailboxes),
    b"LOGOUT": Rule(basic.logout),
    b"LSUB": Rule(listing.list_subscribed),
    b"MOVE": Rule(partial(copy.move, uid=False), needs_mailbox=True),
    b"NAMESPACE": Rule(basic.namespace),
    b"NOOP": Rule(basic.noop),
    b"RENAME": Rule(folders.rename),
    b"SEARCH": Rule(partial(search.search, uid=False), needs_mailbox=True, expunges=False),
    b"SELECT": Rule(select.select),
    b"STATUS": Rule(status.status),
    b"STORE": Rule(partial(store.store, uid=False), needs_mailbox=True, expunges=False),
    b"SUBSCRIBE": Rule(folders.subscribe),
    b"UNSELECT": Rule(select.unselect, needs_mailbox=True),
    b"UNSUBSCRIBE": Rule(folders.unsubscribe),
}

UID_COMMANDS: dict[bytes, Rule] = {
    b"COPY": Rule(partial(copy.copy, uid=True), needs_mailbox=True),
    b"EXPUNGE": Rule(expunge.uid_expunge, needs_mailbox=True),
    b"FETCH": Rule(partial(fetch.fetch, uid=True), needs_mailbox=True),
    b"MOVE": Rule(partial(copy.move, uid=True), needs_mailbox=True),
    b"SEARCH": Rule(partial(search.search, uid=True), needs_mailbox=True),
    b"STORE": Rule(partial(store.store, uid=True), needs_mailbox=True),
}

# Legal only before login; named so that the answer says what is wrong.
BEFORE_LOGIN = frozenset((b"AUTHENTICATE", b"LOGIN", b"STARTTLS"))
