import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import PasswordCredentials
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.exchange import Challenge, ServerExchange, decode_text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_without_nul_comes_out_as_it_went_in(text: str) -> None:
    assert decode_text(text.encode()) == text


@given(st.binary(max_size=40))
def test_any_octets_are_text_or_an_sasl_error(octets: bytes) -> None:
    try:
        text = decode_text(octets)
    except SaslError:
        return
    assert text.encode() == octets
    assert "\0" not in text


@pytest.mark.parametrize("octets", [b"hunter2\0", b"\0", b"hunter2\xff", b"\xed\xa0\x80"])
def test_what_is_no_text_is_refused_without_being_shown(octets: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        decode_text(octets)
    assert caught.value.kind is SaslFault.INVALID
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_credentials_do_not_show_the_password() -> None:
    credentials = PasswordCredentials("", "alice", Secret("hunter2"))
    assert "hunter2" not in f"{credentials} {credentials!r}"
    assert credentials.password.reveal() == "hunter2"


def test_what_the_client_offered_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PasswordCredentials("", "alice", Secret("x")).login = "bob"  # type: ignore[misc]  # is what is tested
    with pytest.raises(dataclasses.FrozenInstanceError):
        Challenge(b"Username:").data = b""  # type: ignore[misc]  # is what is tested


def test_most_mechanisms_have_no_last_word_and_take_none() -> None:
    exchange = ServerExchange()
    assert (exchange.challenge, exchange.granted(), exchange.refused()) == (b"", None, None)
    exchange.acknowledged(b"")
    with pytest.raises(SaslError) as caught:
        exchange.acknowledged(b"x")
    assert caught.value.kind is SaslFault.INVALID
