"""Which channel a client is on, and what that asks of it in a session."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mailfront.channels.imta_cnf import load_channels
from mailfront.channels.table import ChannelTable
from mailfront.configuration.home import ServerRoot
from mailfront.front.smtp import Role, SmtpSettings
from mailfront.front.smtp.inbound import OTHER_SERVERS, USERS, Arrivals
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.mail_relay import RelayOffer
from mailfront.interfaces.peer import Peer
from tests.support.smtp_session import ALICE, PASSWORD, TLS, SmtpConversation, code_of

USER = Identity(ALICE, frozenset({ALICE}), "PLAIN")
ELSEWHERE = "RCPT TO:<x@elsewhere.example>"
LOGIN = "AUTH PLAIN " + base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
REST = """
tcp_auth smtp mustsaslserver musttlsserver
tcp_auth-daemon

tcp_inside smtp maytls
tcp_inside-daemon
"""


def table(directory: Path, local: str, submit: str = "submit", rules: str = "") -> ChannelTable:
    root = ServerRoot(directory)
    root.config_directory.mkdir(exist_ok=True)
    root.imta_cnf.write_text(
        f". $U%$H@tcp-daemon\n{rules}\nl\nlocalhost\n\ntcp_local smtp {local}\ntcp-daemon\n\n"
        f"tcp_submit {submit}\ntcp_submit-daemon\n{REST}"
    )
    root.imta_cnf.chmod(0o600)
    return load_channels(root)


def arrivals(channels: ChannelTable, port: str = "smtp") -> Arrivals:
    return Arrivals(port, lambda: channels)


def peer(address: str) -> Peer:
    return Peer(address, 1, "192.0.2.1", 25)


async def session(channels: ChannelTable, port: str = "smtp", *, tls: bool) -> SmtpConversation:
    settings = SmtpSettings("mx.example.test", arrivals=arrivals(channels, port), sends=True)
    role = Role.MX if port == "smtp" else Role.SUBMISSION
    return await SmtpConversation(role, settings, TLS if tls else None).greeted()


def test_without_imta_cnf_servers_are_asked_for_nothing_and_users_for_a_login() -> None:
    assert not OTHER_SERVERS.offers_login
    assert not OTHER_SERVERS.demands_tls
    assert USERS.demands_login
    assert USERS.offers_tls


def test_users_and_machines_inside_may_send_to_others_but_nobody_on_the_servers_channel(
    tmp_path: Path,
) -> None:
    rules = "[10.] $U%$D@tcp_inside-daemon\n"
    channels = table(tmp_path, "switchchannel maysaslserver", rules=rules)
    stranger = arrivals(channels).of_client(peer("192.0.2.7"), tls=False)
    assert not stranger.may_relay(None)
    assert not stranger.may_relay(USER)
    machine = arrivals(channels).of_client(peer("10.1.2.3"), tls=False)
    assert machine.is_inside
    assert machine.may_relay(None)
    user = arrivals(channels, "submissions").of_client(peer("192.0.2.7"), tls=True)
    assert user.may_relay(USER)
    assert not user.may_relay(None)


def test_moves_follow_address_tls_and_login(tmp_path: Path) -> None:
    channels = table(tmp_path, "tlsswitchchannel tcp_inside saslswitchchannel tcp_auth")
    arriving = arrivals(channels)
    clear = arriving.of_client(peer("192.0.2.7"), tls=False)
    assert clear.channel.name == "tcp_local"
    assert clear.logged_in().channel.name == "tcp_auth"
    encrypted = arriving.of_client(peer("192.0.2.7"), tls=True)
    assert encrypted.channel.name == "tcp_inside"
    assert not encrypted.may_relay(None)
    assert encrypted.logged_in().channel.name == "tcp_inside"


@pytest.mark.parametrize(("behind", "size"), [(None, 4096), (1000, 1000), (9000, 4096)])
def test_the_smaller_limit_counts(tmp_path: Path, behind: int | None, size: int) -> None:
    channels = table(tmp_path, "sourceblocklimit 4")
    arrived = arrivals(channels).of_client(peer("192.0.2.7"), tls=False)
    assert arrived.limited(RelayOffer(size_limit=behind)).size_limit == size
    assert USERS.limited(RelayOffer(size_limit=behind)).size_limit == behind


async def test_a_login_moves_the_session_to_where_others_may_be_written_to(
    tmp_path: Path,
) -> None:
    channels = table(tmp_path, "maysaslserver saslswitchchannel tcp_auth")
    client = await session(channels, tls=True)
    assert code_of(await client.say(LOGIN)) == "235 2.7.0"
    assert client.protocol.facts.inbound.channel.name == "tcp_auth"
    assert code_of(await client.say(f"MAIL FROM:<{ALICE}>")) == "250 2.1.0"
    assert code_of(await client.say(ELSEWHERE)) == "250 2.1.5"


async def test_a_login_on_port_25_makes_the_rules_for_users_hold(tmp_path: Path) -> None:
    client = await session(table(tmp_path, "maysaslserver saslswitchchannel tcp_auth"), tls=True)
    await client.say(LOGIN)
    assert code_of(await client.say("MAIL FROM:<bob@example.test>")) == "553 5.7.1"
    assert code_of(await client.say(LOGIN)) == "503 5.5.1"


async def test_tls_begins_a_session_on_the_channel_of_its_port_again(tmp_path: Path) -> None:
    channels = table(
        tmp_path, "maysaslserver saslswitchchannel tcp_auth tlsswitchchannel tcp_inside"
    )
    client = await session(channels, tls=False)
    assert code_of(await client.say("STARTTLS")) == "220 2.0.0"
    await client.handshake()
    assert client.protocol.facts.inbound.channel.name == "tcp_inside"
    await client.say("EHLO client.example")
    assert code_of(await client.say(LOGIN)) == "503 5.5.1"


async def test_submission_takes_nothing_before_tls_and_login_unless_told(tmp_path: Path) -> None:
    client = await session(table(tmp_path, "maytls"), "submission", tls=False)
    assert code_of(await client.say(LOGIN)) == "538 5.7.11"
    for command in (f"MAIL FROM:<{ALICE}>", "RCPT TO:<x@y.example>", "DATA"):
        assert code_of(await client.say(command)) == "530 5.7.0"
    client = await session(table(tmp_path, "maytls"), "submission", tls=True)
    assert code_of(await client.say(f"MAIL FROM:<{ALICE}>")) == "530 5.7.0"


async def test_submission_without_a_login_takes_mail_for_users_here_alone(tmp_path: Path) -> None:
    channels = table(tmp_path, "maytls", "maytlsserver maysaslserver")
    client = await session(channels, "submission", tls=False)
    assert code_of(await client.say("MAIL FROM:<printer@example.org>")) == "250 2.1.0"
    assert code_of(await client.say(ELSEWHERE)) == "550 5.7.1"
    assert code_of(await client.say(f"RCPT TO:<{ALICE}>")) == "250 2.1.5"


async def test_mail_from_inside_says_so_in_its_envelope(tmp_path: Path) -> None:
    rules = "[192.0.2.0/24] $U%$D@tcp_inside-daemon\n"
    client = await session(table(tmp_path, "switchchannel", rules=rules), tls=False)
    await client.say("MAIL FROM:<printer@example.org>", ELSEWHERE, "DATA")
    await client.say("Subject: x", "", "text", ".")
    ((envelope, _),) = client.sink.accepted
    assert envelope.from_inside
    assert envelope.authenticated_user is None
