import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import VerifierRequest
from mailfront.protocol import sasl
from tests.support.scram_client import verifier_of


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
    exchange = sasl.start("plain", sasl.MECHANISMS)
    assert exchange is not None
    assert exchange.mechanism == "PLAIN"


@pytest.mark.parametrize("name", ["", "CRAM-MD5", "SCRAM-SHA-1", "PLAIN ", "ПЛАИН"])
def test_an_unknown_mechanism_starts_nothing(name: str) -> None:
    assert sasl.start(name, sasl.MECHANISMS) is None


@pytest.mark.parametrize("name", sasl.MECHANISMS)
def test_what_is_not_offered_does_not_start(name: str) -> None:
    assert sasl.start(name, [other for other in sasl.MECHANISMS if other != name]) is None


def test_every_mechanism_starts_where_it_is_offered() -> None:
    exchanges = [sasl.start(name, sasl.MECHANISMS) for name in sasl.MECHANISMS]
    assert [exchange and exchange.mechanism for exchange in exchanges] == list(sasl.MECHANISMS)


@given(st.sampled_from(sasl.MECHANISMS), st.lists(st.binary(max_size=60), max_size=3))
def test_any_responses_give_challenges_questions_or_a_sasl_error(
    name: str, responses: list[bytes]
) -> None:
    exchange = sasl.start(name, sasl.MECHANISMS, channel_binding=lambda kind: b"x")
    assert exchange is not None
    for response in responses:
        try:
            outcome = exchange.respond(response)
        except SaslError:
            return
        if isinstance(outcome, VerifierRequest):
            exchange.supply(verifier_of("secret"))
        elif not isinstance(outcome, sasl.Challenge):
            return


def test_challenges_are_encoded_on_one_line() -> None:
    assert sasl.encode_challenge(b"Username:") == b"VXNlcm5hbWU6"
    assert b"\n" not in sasl.encode_challenge(b"x" * 300)
