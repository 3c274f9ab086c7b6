"""What in imta.cnf is allowed and yet worth a word: what weakens the server, or has no effect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailfront.channels.channel import Channel, Demand
from mailfront.channels.table import PORT_CHANNELS, ChannelTable


def advice(table: ChannelTable, file: Path) -> list[str]:
    """Return a line for each, with the place in `file` if it has one."""
    told = list(table.warnings)
    for channel in table.channels.values():
        told += [f"{file}:{channel.line}: {text}" for text in _on_channel(channel)]
    if table.missing and table.files:
        names = ", ".join(table.missing)
        told.append(f"{file}: has no channel {names}; what is standard holds")
    if table.without_effect:
        told.append(f"{file}: keywords without effect here: {', '.join(table.without_effect)}")
    return told


def _on_channel(channel: Channel) -> Iterator[str]:
    name = channel.name
    if channel.submission:
        yield from _on_submission(channel)
    if name == PORT_CHANNELS["smtp"] and channel.tls_server is Demand.MUST:
        yield (
            f"{name} has musttlsserver: servers without TLS cannot bring mail "
            "(RFC 3207 section 4 forbids that to servers which others find by MX records)"
        )
    if channel.sasl_server is not Demand.NEVER and name == PORT_CHANNELS["smtp"]:
        if channel.sasl_server is Demand.MUST:
            yield f"{name} has mustsaslserver: other servers cannot bring mail"
        elif not channel.sasl_switch:
            yield (
                f"{name} offers AUTH, but who logs in stays on it and may not send to others: "
                "add saslswitchchannel tcp_auth"
            )
        if channel.tls_server is Demand.NEVER:
            yield f"{name} has notlsserver: no password is taken without TLS"
    if channel.tls_client is Demand.NEVER and channel.sasl_client is not Demand.NEVER:
        yield f"{name} has notlsclient: its password goes out in clear, or not at all"


def _on_submission(channel: Channel) -> Iterator[str]:
    name = channel.name
    if channel.sasl_server is not Demand.MUST:
        yield (
            f"{name} takes mail from users without a login, under any sender's address; "
            "mustsaslserver is the safe choice"
        )
    if channel.tls_server is not Demand.MUST:
        yield f"{name} takes mail from users in clear too; musttlsserver is the safe choice"
