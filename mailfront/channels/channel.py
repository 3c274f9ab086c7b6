"""A channel: a named class of mail traffic, and what its keywords ask for.

The values come from a channel block of imta.cnf (Messaging Server 6.3 Administration Guide,
chapter 12); times are in seconds, sizes in octets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Demand(Enum):
    """How a channel asks for TLS or for a login, on one side."""

    NEVER = "no"
    MAY = "may"
    MUST = "must"


class Exchangers(Enum):
    """How the hosts of a domain are found: by MX records (`mx`), in random order within one
    preference as RFC 5321 section 5.1 demands (`randommx` says no more), or only its addresses
    (`nomx`)."""

    MX = "mx"
    NONE = "nomx"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel block, its keywords taken together with the defaults before it.

    `daemon` names the one host that takes everything (a smarthost), an address in brackets, empty
    for the destination's own; `local` says that mail for it goes into mailboxes here. `backoff` are
    the waits between attempts, the last one repeating; `notices` the ages of a message at which its
    sender is told that it still waits, the last one being when it is given up. `credentials` is the
    path of the file with the client's login, `client_certificate` a nickname; both empty for none.
    `source_block_limit` is in octets: the largest message taken from clients on this channel.

    Of clients: `submission` says that users send mail here; `tls_switch` and `sasl_switch` name the
    channel that a connection moves to by TLS or a login; `switches` and `switched_to` tell whether
    it may move away from here, and to here, by the client's address. `sends` says that it is SMTP
    that mail leaves by; a channel that neither sends nor is local delivers nothing here.
    """

    name: str
    official_host: str
    line: int
    local: bool = False
    tls_client: Demand = Demand.NEVER
    tls_server: Demand = Demand.NEVER
    sasl_client: Demand = Demand.NEVER
    sasl_server: Demand = Demand.NEVER
    tls_switch: str = ""
    sasl_switch: str = ""
    exchangers: Exchangers = Exchangers.MX
    daemon: str = ""
    port: int = 25
    max_jobs: int = 10
    source_block_limit: int | None = None
    backoff: tuple[float, ...] = ()
    notices: tuple[float, ...] = ()
    credentials: str = ""
    client_certificate: str = ""
    submission: bool = False
    sends: bool = True
    switches: bool = False
    switched_to: bool = True
