import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import LdapProtocolError
from mailfront.protocol import ldap_messages as messages
from mailfront.protocol.ldap_messages import FoundEntry, Ignored, MessageReader, Result, element


def text(value: str) -> bytes:
    return element(0x04, value.encode())


def response(message_id: int, operation: bytes) -> bytes:
    return element(0x30, element(0x02, bytes([message_id])) + operation)


def result(message_id: int, tag: int, code: int, words: str = "") -> bytes:
    return response(message_id, element(tag, element(0x0A, bytes([code])) + text("") + text(words)))


def found(message_id: int, name: str, **attributes: list[bytes]) -> bytes:
    encoded = b"".join(
        element(
            0x30, text(each) + element(0x31, b"".join(element(0x04, value) for value in values))
        )
        for each, values in attributes.items()
    )
    return response(message_id, element(0x64, text(name) + element(0x30, encoded)))


STREAM = (
    result(1, 0x61, 0)
    + found(2, "uid=a,o=x", uid=[b"a"], mail=[b"a@x", b"b@x"], photo=[b"\0" * 300])
    + response(2, element(0x73, text("ldap://elsewhere/")))
    + result(2, 0x65, 4, "size limit\nexceeded")
)
MEANING = [
    Result(1, 0, ""),
    FoundEntry(
        2, "uid=a,o=x", (("uid", (b"a",)), ("mail", (b"a@x", b"b@x")), ("photo", (b"\0" * 300,)))
    ),
    Ignored(2),
    Result(2, 4, "size limit exceeded"),
]


def test_requests_are_encoded_as_the_standard_has_them() -> None:
    assert messages.bind_request(1, "", b"").hex() == "300c020101600702010304008000"
    assert messages.bind_request(2, "cn=a", b"pw").hex() == (
        "30120201026 00d0201030404636e3d6180027077".replace(" ", "")
    )
    assert messages.starttls_request(1).hex() == (
        "301d02010177188016" + b"1.3.6.1.4.1.1466.20037".hex()
    )
    assert messages.unbind_request(3).hex() == "30050201034200"
    assert messages.abandon_request(200, 128).hex() == "3008020200c850020080"
    assert messages.search_request(
        5, "o=x", element(0x87, b"uid"), ("uid",), size_limit=2, time_limit=10
    ).hex() == (
        "302502010563200403" + b"o=x".hex() + "0a01020a010002010202010a010100"
        "8703" + b"uid".hex() + "30050403" + b"uid".hex()
    )  # fmt: skip


def test_responses_are_understood_whole_and_octet_by_octet() -> None:
    assert MessageReader().feed(STREAM) == MEANING
    reader = MessageReader()
    assert [each for octet in STREAM for each in reader.feed(bytes([octet]))] == MEANING
    assert len(reader) == 0


@given(st.binary(max_size=200))
def test_any_octets_give_messages_or_one_exception(octets: bytes) -> None:
    for prefix in (b"", STREAM, b"\x30\x84\0\0\0\x20"):
        with contextlib.suppress(LdapProtocolError):
            assert isinstance(MessageReader().feed(prefix + octets), list)


@given(st.integers(0, len(STREAM) - 1), st.integers(0, 255))
def test_a_damaged_octet_gives_messages_or_one_exception(position: int, octet: int) -> None:
    damaged = STREAM[:position] + bytes([octet]) + STREAM[position + 1 :]
    with contextlib.suppress(LdapProtocolError):
        assert len(MessageReader().feed(damaged)) <= 8


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x30\x80\x02\x01\x01",
        b"\x30\x85\x01\0\0\0\0",
        b"\x30\x84\x7f\xff\xff\xff",
        response(1, element(0x60, b"")),
        response(1, element(0x61, text(""))),
        response(1, element(0x64, text("a") + element(0x31, b""))),
        element(0x30, element(0x02, b"")),
        element(0x30, b"\x02\x05\x01"),
    ],
)
def test_what_is_not_ldap_or_too_large_is_refused_at_once(octets: bytes) -> None:
    with pytest.raises(LdapProtocolError):
        MessageReader().feed(octets)


def test_a_result_is_told_in_words() -> None:
    assert str(Result(1, 49, "")) == "invalid credentials (49)"
    assert str(Result(1, 80, "odd")) == "LDAP result (80): odd"
