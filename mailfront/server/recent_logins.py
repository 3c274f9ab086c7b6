"""POP before SMTP, out of the options: the table of logins, and the channel of such mail.

Takes the configuration, the store that front ends share, and the channels in force.
`check_recent_logins` is what `mailfront check` tells of options that do not fit together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from mailfront.authentication.recent_logins import LoginStore, LoginTable
from mailfront.channels.channel import Channel
from mailfront.channels.imta_cnf import load_channels
from mailfront.channels.table import PORT_CHANNELS, ChannelTable
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.networks import NetworkSet
from mailfront.errors import OperatorError

TTL_OPTION = "service.authservicettl"
CHANNEL_OPTION = "service.popbeforesmtpkludgechannel"

# Whose addresses stand for many clients.
_PROXIES = ("service.proxynetworks", "service.frontnetworks")


def is_wanted(configuration: Configuration) -> bool:
    """Whether mail may be sent without AUTH at all."""
    return bool(configuration.integer(TTL_OPTION) and configuration.string(CHANNEL_OPTION))


def login_table(
    configuration: Configuration, store: LoginStore | None = None, secret: bytes | None = None
) -> LoginTable | None:
    """The logins that count; None where none does."""
    if not is_wanted(configuration):
        return None
    named = (configuration.string(option) for option in _PROXIES)
    return LoginTable(
        configuration.integer(TTL_OPTION),
        never=NetworkSet(",".join(networks for networks in named if networks)),
        store=store,
        secret=secret,
    )


def kludge_channel(
    configuration: Configuration, channels: Callable[[], ChannelTable]
) -> Callable[[], Channel | None]:
    """The channel that such mail claims, as imta.cnf has it at each moment."""
    name = configuration.string(CHANNEL_OPTION).lower()
    return lambda: channels().channels.get(name)


def check_recent_logins(root: ServerRoot, configuration: Configuration) -> list[str]:
    """What is wrong with the options, taken together with imta.cnf."""
    table: ChannelTable | None = None
    # What is wrong with the file itself is told elsewhere.
    with contextlib.suppress(OperatorError):
        table = load_channels(root)
    return problems(configuration, table)


def problems(configuration: Configuration, table: ChannelTable | None) -> list[str]:
    """What is wrong with the options, taken together with channels (None: nobody knows them)."""
    ttl, name = configuration.integer(TTL_OPTION), configuration.string(CHANNEL_OPTION).lower()
    if not ttl and not name:
        return []
    found = []
    if not (ttl and name):
        given, missing = (TTL_OPTION, CHANNEL_OPTION) if ttl else (CHANNEL_OPTION, TTL_OPTION)
        found.append(f"{given} is set without {missing}: nobody sends mail without AUTH")
    if name == PORT_CHANNELS["smtp"]:
        found.append(f"{CHANNEL_OPTION} is {name}, the channel of all servers, which may not relay")
    elif name and table is not None and name not in table.channels:
        found.append(f"{CHANNEL_OPTION} is {name}, which is no channel of imta.cnf")
    if ttl and not any(configuration.boolean(f"service.{each}.enable") for each in ("pop", "imap")):
        found.append(f"{TTL_OPTION} is set, but neither POP3 nor IMAP is enabled")
    alone = not configuration.string("local.sharedstore.url")
    if ttl and configuration.integer("service.workers") > 1 and alone:
        found.append(
            f"{TTL_OPTION} is set with several service.workers: each knows its own logins only "
            "(let them share a store, local.sharedstore.url, or run one)"
        )
    return found
