"""How TLS begins is guessed from the port; what names no host and port is refused."""

from __future__ import annotations

import pytest

from mailfront.errors import OperatorError
from mailfront.tls.doctor.target import IMAP, POP3, SMTP, parse_target


@pytest.mark.parametrize(
    ("text", "protocol", "implicit", "alpn"),
    [
        ("mail.example.org:25", SMTP, False, ""),
        ("mail.example.org:587", SMTP, False, ""),
        ("mail.example.org:2143", IMAP, False, "imap"),
        ("mail.example.org:110", POP3, False, "pop3"),
        ("mail.example.org:465", SMTP, True, ""),
        ("mail.example.org", IMAP, True, "imap"),
        ("mail.example.org:995", POP3, True, "pop3"),
        ("mail.example.org:443", None, True, "http/1.1"),
    ],
)
def test_the_port_tells_how_tls_begins(
    text: str, protocol: object, implicit: bool, alpn: str
) -> None:
    target = parse_target(text)
    assert (target.protocol, target.implicit, target.alpn) == (protocol, implicit, alpn)
    assert target.starttls == (None if implicit else protocol)


def test_what_is_said_counts_more_than_the_port() -> None:
    assert parse_target("mail.example.org:993", starttls=SMTP).starttls is SMTP
    assert parse_target("mail.example.org:25", implicit=True).starttls is None
    assert parse_target("mail.example.org:7000", implicit=True).protocol is None


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("[::1]:2993", "::1", 2993, "[::1]:2993"),
        ("::1", "::1", 993, "[::1]:993"),
        ("127.0.0.1:995", "127.0.0.1", 995, "127.0.0.1:995"),
    ],
)
def test_addresses_are_understood(text: str, host: str, port: int, shown: str) -> None:
    target = parse_target(text)
    assert (target.host, target.port, str(target)) == (host, port, shown)


def test_an_address_is_no_server_name() -> None:
    assert parse_target("127.0.0.1").server_name == ""
    assert parse_target("127.0.0.1", name="mail.example.org").server_name == "mail.example.org"


def test_international_names_are_asked_for_in_ascii() -> None:
    assert parse_target("münchen.example").server_name == "xn--mnchen-3ya.example"


@pytest.mark.parametrize(
    "text",
    ["", ":993", "host:0", "host:65536", "host:9x", "[::1", "[::1]x", "a b:993", "x:7000"],
)
def test_what_names_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(OperatorError):
        parse_target(text)
