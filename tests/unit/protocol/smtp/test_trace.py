"""Trace fields: Received in the grammar of RFC 5321 section 4.4, and what a header contains."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.protocol.smtp.trace import (
    HeaderFacts,
    Reception,
    completing_fields,
    inspect_header,
    protocol_name,
    received_field,
    webmail_received_field,
)

NOON = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, resumed=False, nickname="smtp-cert")


def reception(
    address: str = "192.0.2.7",
    tls: TlsFacts | None = TLS,
    recipients: tuple[str, ...] = ("bob@example.test",),
) -> Reception:
    return Reception(
        hello="client.example",
        peer=Peer(address, 40000, "192.0.2.1", 25),
        server="mx.example.test",
        protocol="ESMTPS" if tls else "ESMTP",
        tls=tls,
        identifier="0123456789abcdef",
        recipients=recipients,
        time=NOON,
    )


def test_received_tells_who_how_and_when() -> None:
    assert received_field(reception()).decode() == (
        "Received: from client.example ([192.0.2.7])\r\n"
        "\tby mx.example.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        "\tid 0123456789abcdef\r\n"
        "\tfor <bob@example.test>;\r\n"
        "\tThu, 29 Feb 2024 12:00:00 +0000\r\n"
    )


def test_an_ipv6_peer_is_written_as_a_literal() -> None:
    assert b"([IPv6:2001:db8::7])" in received_field(reception("2001:db8::7"))


def test_several_recipients_are_not_shown_to_each_other() -> None:
    field = received_field(reception(recipients=("a@x.test", "b@x.test")))
    assert b"@x.test" not in field
    assert re.search(rb"id [0-9a-f]{16};\r\n", field)


def test_without_tls_nothing_is_said_of_it() -> None:
    assert b"with ESMTP\r\n" in received_field(reception(tls=None))


@pytest.mark.parametrize(
    ("extended", "utf8", "tls", "authenticated", "name"),
    [
        (False, False, False, False, "SMTP"), (True, False, False, False, "ESMTP"),
        (True, False, True, False, "ESMTPS"), (True, False, True, True, "ESMTPSA"),
        (True, True, False, False, "UTF8SMTP"), (True, True, True, False, "UTF8SMTPS"),
        (True, True, True, True, "UTF8SMTPSA"), (False, False, True, False, "SMTP"),
    ],
)  # fmt: skip
def test_protocol_names_are_the_registered_ones(
    extended: bool, utf8: bool, tls: bool, authenticated: bool, name: str
) -> None:
    got = protocol_name(extended=extended, utf8=utf8, tls=tls, authenticated=authenticated)
    assert got == name


@pytest.mark.parametrize(
    ("head", "facts"),
    [
        (b"", HeaderFacts(0, has_date=False, has_message_id=False)),
        (b"\r\nDate: body\r\n", HeaderFacts(0, has_date=False, has_message_id=False)),
        (
            b"DATE: x\r\nmessage-id: <1>\r\n\r\n",
            HeaderFacts(0, has_date=True, has_message_id=True),
        ),
        (
            b"Received: a\r\n\tReceived: folded\r\nreceived: b\r\nX-Date: x\r\n\r\n"
            b"Received: body\r\n",
            HeaderFacts(2, has_date=False, has_message_id=False),
        ),
        (b"Subject: x\r\nDate: y", HeaderFacts(0, has_date=True, has_message_id=False)),
    ],
)
def test_only_the_header_section_is_looked_at(head: bytes, facts: HeaderFacts) -> None:
    assert inspect_header(head) == facts


@given(st.binary(max_size=300))
def test_every_header_can_be_looked_at(head: bytes) -> None:
    inspect_header(head)


def test_only_missing_fields_are_added() -> None:
    both = completing_fields(HeaderFacts(0, False, False), "id1", "mx.example.test", NOON)
    assert both == b"Date: Thu, 29 Feb 2024 12:00:00 +0000\r\nMessage-ID: <id1@mx.example.test>\r\n"
    assert completing_fields(HeaderFacts(0, True, True), "id1", "mx.example.test", NOON) == b""


def test_webmail_leaves_its_own_trace() -> None:
    field = webmail_received_field("mx.example.test", "id1", NOON)
    assert field.startswith(b"Received: by mx.example.test (webmail) id id1;\r\n\tThu, 29 Feb")
