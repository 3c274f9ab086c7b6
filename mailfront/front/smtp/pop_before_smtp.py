"""POP before SMTP, the SMTP side: clients that logged in to read mail send without AUTH.

Takes a client's address and its sender; gives the user as whom it may send. Off unless configured.
A sender that is nobody's who logged in from there gains nothing: such mail is judged like anybody
else's, so that other machines behind the same address are neither trusted nor hindered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from mailfront.channels.channel import Channel
from mailfront.errors import AddressError
from mailfront.front.smtp.inbound import Inbound
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.recent_logins import RecentLogins
from mailfront.observability.connection_record import quoted
from mailfront.protocol.mail_address import canonical_address
from mailfront.protocol.smtp.address import Mailbox

METHOD = "POP-before-SMTP"
_log = logging.getLogger("mailfront.smtp")


class PopBeforeSmtp:
    """`recent` knows the logins; `channel` gives the channel whose rules hold for such mail, None
    while imta.cnf has none of that name."""

    def __init__(self, recent: RecentLogins, channel: Callable[[], Channel | None]) -> None:
        self._recent = recent
        self._channel = channel

    async def knows(self, peer: Peer) -> bool:
        """Whether anybody logged in from there: then AUTH is not demanded before MAIL."""
        return self._channel() is not None and await self._recent.knows(peer.address)

    async def identity(self, peer: Peer, sender: Mailbox | None) -> Identity | None:
        """The user whom `sender` stands for, if they logged in from there; for the null
        reverse-path, the last one who did."""
        try:
            address = "" if sender is None else canonical_address(str(sender))
        except AddressError:
            return None
        user = await self._recent.user_of(peer.address, address)
        if user is None:
            return None
        _log.info(
            "peer=%s user=%s sender=%s sends without AUTH after a login to read mail",
            peer, quoted(user), quoted(address or "<>"),
        )  # fmt: skip
        return Identity(user, frozenset({address or user}), METHOD)

    def inbound(self, before: Inbound) -> Inbound:
        """What holds for such mail."""
        channel = self._channel()
        return before if channel is None else replace(before, channel=channel)
