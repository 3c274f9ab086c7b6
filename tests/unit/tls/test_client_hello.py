"""Reading the ClientHello: as clients send it, in any pieces, and anything else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailfront.errors import ClientHelloError
from mailfront.tls.client_hello import (
    MAXIMUM_OCTETS,
    ClientHelloReader,
    offered_protocols,
    offers_protocols,
    parse_client_hello,
    whole_in_one_record,
)
from tests.support.client_hello import (
    RECORD_HEADER,
    client_hello,
    extension,
    in_records,
    made_hello,
)

HELLO = client_hello(["imap", "h2"])
MESSAGE = HELLO[RECORD_HEADER:]


def fed(pieces: list[bytes]) -> bytes | None:
    reader, message = ClientHelloReader(), None
    for piece in pieces:
        assert message is None
        message = reader.feed(piece)
    return message


def test_protocols_name_and_versions_are_told() -> None:
    hello = parse_client_hello(MESSAGE)
    assert hello.protocols == (b"imap", b"h2")
    assert hello.server_name == "imap.example.org"
    assert hello.versions == (0x0304, 0x0303)


def test_a_client_without_extensions_offers_its_one_version() -> None:
    body = b"\x03\x01" + bytes(32) + b"\x00" + b"\x00\x02\x00\x2f" + b"\x01\x00"
    hello = parse_client_hello(b"\x01" + len(body).to_bytes(3, "big") + body)
    assert (hello.protocols, hello.server_name, hello.versions) == ((), "", (0x0301,))


def test_versions_that_only_keep_servers_tolerant_are_left_out() -> None:
    hello = parse_client_hello(made_hello(extension(43, b"\x06\x3a\x3a\x03\x04\x03\x03")))
    assert hello.versions == (0x0304, 0x0303)


def test_a_server_name_of_another_kind_is_none() -> None:
    assert parse_client_hello(made_hello(extension(0, b"\x00\x04\x01\x00\x01a"))).server_name == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\x00\x00", b"\x00\x05\x04imap\x00", b"\x00\x01\x00", b"\x00\x03\x04ima"],
)
def test_a_malformed_list_of_protocols_is_an_error(content: bytes) -> None:
    with pytest.raises(ClientHelloError):
        offered_protocols(made_hello(extension(16, content)))


def test_a_name_of_sixteen_letters_is_not_taken_for_the_extension() -> None:
    # Made by hand: the random octets of a real one may hold anything.
    name = b"imap.example.org"
    entry = b"\x00" + len(name).to_bytes(2, "big") + name
    asked = extension(0, len(entry).to_bytes(2, "big") + entry)
    [hello] = in_records(made_hello(asked), 16384)
    assert not offers_protocols(hello)
    assert offers_protocols(client_hello(["imap"]))


def test_a_message_in_one_record_is_found_at_once() -> None:
    assert whole_in_one_record(HELLO) == MESSAGE
    assert whole_in_one_record(HELLO + b"later") == MESSAGE
    assert whole_in_one_record(HELLO[:-1]) is None
    assert whole_in_one_record(b"") is None


@given(st.integers(1, 600))
def test_a_message_is_found_in_records_of_any_size(size: int) -> None:
    assert fed(in_records(MESSAGE, size)) == MESSAGE


@given(st.integers(1, 600))
def test_a_message_is_found_in_packets_of_any_size(size: int) -> None:
    records = b"".join(in_records(MESSAGE, 100))
    assert fed([records[at : at + size] for at in range(0, len(records), size)]) == MESSAGE


def test_what_follows_the_message_is_kept() -> None:
    reader = ClientHelloReader()
    assert reader.feed(HELLO + b"\x14\x03\x03\x00\x01\x01") == MESSAGE
    assert reader.received == HELLO + b"\x14\x03\x03\x00\x01\x01"


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x02",
        b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x40\x01", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
    ],
)  # fmt: skip
def test_what_does_not_begin_as_a_client_hello_is_an_error(octets: bytes) -> None:
    with pytest.raises(ClientHelloError):
        fed([octets])
    with pytest.raises(ClientHelloError):
        fed([octets[at : at + 1] for at in range(len(octets))])


@pytest.mark.parametrize("length", [b"\xff\xff\xff", b"\x00\x80\x00"])
def test_a_message_that_is_announced_too_long_is_an_error(length: bytes) -> None:
    with pytest.raises(ClientHelloError):
        ClientHelloReader().feed(b"\x16\x03\x01\x00\x04\x01" + length)


def test_a_message_in_too_many_records_is_an_error() -> None:
    reader = ClientHelloReader()
    assert reader.feed(b"\x16\x03\x01\x00\x04\x01\x00\x7f\x00") is None
    with pytest.raises(ClientHelloError):
        reader.feed(b"\x16\x03\x01\x00\x01\x00" * (MAXIMUM_OCTETS // 6))


@given(st.binary(max_size=200))
@example(b"")
@example(MESSAGE[:43])
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    whole_in_one_record(octets)
    for message in (octets, b"\x01" + len(octets).to_bytes(3, "big") + octets):
        with suppress(ClientHelloError):
            parse_client_hello(message)
    with suppress(ClientHelloError):
        ClientHelloReader().feed(octets)


@given(st.integers(0, len(MESSAGE) - 1), st.integers(0, 255))
def test_a_changed_octet_is_read_or_refused(position: int, octet: int) -> None:
    changed = MESSAGE[:position] + bytes([octet]) + MESSAGE[position + 1 :]
    try:
        hello = parse_client_hello(changed)
    except ClientHelloError:
        return
    assert not hello.protocols or offers_protocols(changed)
