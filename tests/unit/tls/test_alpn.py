"""Application protocols: whom a service answers."""

from __future__ import annotations

import pytest

from mailfront.tls.alpn import PROTOCOLS, accepted_protocols, is_foreign
from tests.support.client_hello import RECORD_HEADER, client_hello


@pytest.mark.parametrize(
    ("service", "offered", "foreign"),
    [
        ("imap", (), False),
        ("imap", ("imap",), False),
        ("imap", ("h2", "imap"), False),
        ("imap", ("h2", "http/1.1"), True),
        ("imap", ("pop3",), True),
        ("pop", ("pop3",), False),
        ("http", ("h2", "http/1.1"), False),
        ("http", ("imap",), True),
        ("imta", ("smtp",), False),
        ("imta", ("http/1.1",), True),
    ],
)
def test_only_a_client_of_foreign_protocols_alone_is_foreign(
    service: str, offered: tuple[str, ...], foreign: bool
) -> None:
    message = client_hello(offered)[RECORD_HEADER:]
    assert is_foreign(message, accepted_protocols(service)) is foreign


def test_what_cannot_be_read_is_left_to_openssl() -> None:
    assert not is_foreign(b"\x01\x00\x00\x04\x00\x10\x00\x00", accepted_protocols("imap"))


def test_every_service_has_names() -> None:
    assert all(PROTOCOLS.values())
