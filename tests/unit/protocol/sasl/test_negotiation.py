import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.protocol import sasl


def fault(decode: Callable[[bytes], bytes], text: bytes) -> SaslFault:
    with pytest.raises(SaslError) as caught:
        decode(text)
    return caught.value.kind


@given(st.binary(max_size=300))
def test_what_a_client_encodes_is_decoded(octets: bytes) -> None:
    assert sasl.decode_response(base64.b64encode(octets)) == octets


@given(st.binary(max_size=60))
def test_any_text_is_decoded_or_refused_with_a_sasl_error(text: bytes) -> None:
    for decode in (sasl.decode_response, sasl.decode_initial_response):
        try:
            decode(text)
        except SaslError:
            continue


def test_an_asterisk_alone_cancels() -> None:
    assert fault(sasl.decode_response, b"*") is SaslFault.CANCELLED


def test_an_asterisk_as_initial_response_is_only_bad_base64() -> None:
    assert fault(sasl.decode_initial_response, b"*") is SaslFault.MALFORMED


def test_an_equals_sign_is_an_empty_initial_response_and_nothing_else() -> None:
    assert sasl.decode_initial_response(b"=") == b""
    assert fault(sasl.decode_response, b"=") is SaslFault.MALFORMED


def test_an_empty_line_is_an_empty_response_but_no_initial_response() -> None:
    assert sasl.decode_response(b"") == b""
    assert fault(sasl.decode_initial_response, b"") is SaslFault.MALFORMED


@pytest.mark.parametrize(
    "text", [b"AGE", b"AG E=", b"AGE=\r", b"AGE==", b"AGE=AGE=", b"AG-_", b"\xff\xfe==", b"AB=="]
)
def test_base64_that_is_not_strict_is_malformed(text: bytes) -> None:
    assert fault(sasl.decode_response, text) is SaslFault.MALFORMED


def test_a_response_may_have_12288_octets_and_no_more() -> None:
    longest = base64.b64encode(b"x" * 9216)
    assert len(longest) == 12288
    assert sasl.decode_response(longest) == b"x" * 9216
    assert fault(sasl.decode_response, longest + b"AAAA") is SaslFault.TOO_LONG


def test_mechanism_names_are_compared_without_regard_to_case() -> None:
    exchange = sasl.start("plain")
    assert exchange is not None
    assert exchange.mechanism == "PLAIN"


@pytest.mark.parametrize("name", ["", "CRAM-MD5", "EXTERNAL", "PLAIN ", "ПЛАИН"])
def test_an_unknown_mechanism_starts_nothing(name: str) -> None:
    assert sasl.start(name) is None


def test_every_announced_mechanism_starts() -> None:
    exchanges = [sasl.start(name) for name in sasl.MECHANISMS]
    assert [exchange and exchange.mechanism for exchange in exchanges] == list(sasl.MECHANISMS)


def test_challenges_are_encoded_on_one_line() -> None:
    assert sasl.encode_challenge(b"Username:") == b"VXNlcm5hbWU6"
    assert b"\n" not in sasl.encode_challenge(b"x" * 300)
