"""On which channel of imta.cnf a client is, and what that asks of it.

A client comes in on the channel of its port. It moves on in this order: by its address, if the
channel has `switchchannel` and a rule names its network; by TLS (`tlsswitchchannel`); by a login
(`saslswitchchannel`). Whatever moves it, the channel it comes to says anew what is demanded. A
connection keeps the version of imta.cnf that was in force when it, or its TLS, began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mailfront.channels.channel import Channel, Demand
from mailfront.channels.table import PORT_CHANNELS, ChannelTable
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.mail_relay import RelayOffer
from mailfront.interfaces.peer import Peer


@dataclass(frozen=True, slots=True)
class Inbound:
    """The channel of a client. `is_inside` tells that its address brought it there; `after_login`
    is where a login leads."""

    channel: Channel
    is_inside: bool = False
    after_login: Channel | None = None

    @property
    def offers_tls(self) -> bool:
        """Whether STARTTLS is announced and taken."""
        return self.channel.tls_server is not Demand.NEVER

    @property
    def demands_tls(self) -> bool:
        """Whether nothing is taken in clear."""
        return self.channel.tls_server is Demand.MUST

    @property
    def offers_login(self) -> bool:
        """Whether AUTH is taken."""
        return self.channel.sasl_server is not Demand.NEVER

    @property
    def demands_login(self) -> bool:
        """Whether mail is taken from users alone."""
        return self.channel.sasl_server is Demand.MUST

    def may_relay(self, identity: Identity | None) -> bool:
        """Whether the client may send to domains that are not ours: machines of our own networks,
        and users; but nobody who is still on the channel of all other servers."""
        if self.channel.name == PORT_CHANNELS["smtp"]:
            return False
        return self.is_inside or identity is not None

    def logged_in(self) -> Inbound:
        """The channel after a login."""
        return self if self.after_login is None else replace(self, channel=self.after_login)

    def limited(self, offer: RelayOffer) -> RelayOffer:
        """What EHLO may promise on this channel (`sourceblocklimit`)."""
        limit = self.channel.source_block_limit
        if limit is None or (offer.size_limit is not None and offer.size_limit <= limit):
            return offer
        return replace(offer, size_limit=limit)


class Arrivals:
    """The clients of one port, by what is in force when they come: `channels` gives that."""

    def __init__(self, port: str, channels: Callable[[], ChannelTable]) -> None:
        self._port = port
        self._channels = channels

    def of_client(self, peer: Peer, *, tls: bool) -> Inbound:
        """The channel of a client that came to this port, in clear or with TLS."""
        table = self._channels()
        arrival = table.channel_of_port(self._port)
        channel = table.channel_of_client(arrival, peer.address)
        is_inside = channel is not arrival
        if tls and channel.tls_switch:
            channel = table.channels[channel.tls_switch]
        after_login = table.channels[channel.sasl_switch] if channel.sasl_switch else None
        return Inbound(channel, is_inside, after_login)


OTHER_SERVERS = Inbound(Channel(PORT_CHANNELS["smtp"], "", 0, tls_server=Demand.MAY))
"""Where no imta.cnf says otherwise: STARTTLS, no logins, mail for users here alone."""

USERS = Inbound(
    Channel(
        PORT_CHANNELS["submission"], "", 0, tls_server=Demand.MAY, sasl_server=Demand.MUST,
        submission=True,
    )
)  # fmt: skip
"""Where no imta.cnf says otherwise: users alone. That passwords do not come in clear is up to the
login."""
