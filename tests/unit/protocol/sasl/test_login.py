import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import PasswordCredentials
from mailfront.protocol.sasl.exchange import Challenge
from mailfront.protocol.sasl.login import LoginExchange


def test_it_asks_for_the_name_and_then_for_the_password() -> None:
    exchange = LoginExchange()
    assert exchange.challenge == b"Username:"
    assert exchange.respond(b"alice") == Challenge(b"Password:")
    assert exchange.challenge == b"Password:"
    credentials = exchange.respond("pässword ".encode())
    assert isinstance(credentials, PasswordCredentials)
    assert (credentials.authorization, credentials.login) == ("", "alice")
    assert credentials.password.reveal() == "pässword "


@given(st.lists(st.binary(max_size=20), max_size=2))
def test_any_octets_give_a_challenge_credentials_or_a_sasl_error(responses: list[bytes]) -> None:
    exchange = LoginExchange()
    for response in responses:
        try:
            exchange.respond(response)
        except SaslError:
            return


@pytest.mark.parametrize("response", [b"", b"a\0b", b"\xff"])
def test_an_empty_name_or_one_that_is_not_text_is_invalid(response: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        LoginExchange().respond(response)
    assert caught.value.kind is SaslFault.INVALID


@pytest.mark.parametrize("response", [b"", b"a\0b", b"\xff"])
def test_an_empty_password_or_one_that_is_not_text_is_invalid(response: bytes) -> None:
    exchange = LoginExchange()
    exchange.respond(b"alice")
    with pytest.raises(SaslError) as caught:
        exchange.respond(response)
    assert caught.value.kind is SaslFault.INVALID
