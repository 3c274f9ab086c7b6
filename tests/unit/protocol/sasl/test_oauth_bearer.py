import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import BearerCredentials
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.oauth_bearer import OAuthBearerExchange, XOAuth2Exchange

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def test_the_message_of_rfc_7628() -> None:
    message = (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )
    expected = BearerCredentials("user@example.com", Secret(TOKEN))
    assert OAuthBearerExchange().respond(message) == expected


def test_the_message_of_xoauth2() -> None:
    message = f"user=someuser@example.com\x01auth=Bearer {TOKEN}\x01\x01".encode()
    expected = BearerCredentials("someuser@example.com", Secret(TOKEN))
    assert XOAuth2Exchange().respond(message) == expected


def test_a_failure_says_where_a_better_token_is_to_be_had() -> None:
    where = "https://login.example.test/.well-known/openid-configuration"
    assert json.loads(OAuthBearerExchange(where).refused().data) == {
        "status": "invalid_token",
        "openid-configuration": where,
    }
    assert json.loads(OAuthBearerExchange().refused().data) == {"status": "invalid_token"}
    assert json.loads(XOAuth2Exchange().refused().data)["status"] == "401"


@pytest.mark.parametrize(
    "message",
    [
        b"", b"n,,", b"n,,\x01\x01", b"n,,\x01auth=Bearer x\x01", b"n,,auth=Bearer x\x01\x01",
        b"p=tls-exporter,,\x01auth=Bearer x\x01\x01", b"n,,\x01auth=Basic x\x01\x01",
        b"n,,\x01auth=Bearer\x01\x01", b"n,,\x01auth=Bearer x y\x01\x01",
        b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01", b"n,,\x01host=x\x01\x01",
        b"n,,\x01h0st=x\x01auth=Bearer x\x01\x01", b"n,,\x01auth=Bearer \xff\x01\x01",
    ],
)  # fmt: skip
def test_another_shape_is_invalid(message: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        OAuthBearerExchange().respond(message)
    assert caught.value.kind is SaslFault.INVALID


@pytest.mark.parametrize(
    "message",
    [b"", b"\x01\x01", b"auth=Bearer x\x01\x01", b"user=\x01auth=Bearer x\x01\x01",
     b"user=a\0b\x01auth=Bearer x\x01\x01", b"user=a\x01auth=Bearer x\x01"],
)  # fmt: skip
def test_another_shape_of_xoauth2_is_invalid(message: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        XOAuth2Exchange().respond(message)
    assert caught.value.kind is SaslFault.INVALID


@given(st.binary(max_size=80))
def test_any_octets_give_a_token_or_a_sasl_error(message: bytes) -> None:
    for exchange in (OAuthBearerExchange(), XOAuth2Exchange()):
        try:
            exchange.respond(message)
        except SaslError:
            continue


def test_no_error_shows_the_token() -> None:
    with pytest.raises(SaslError) as caught:
        OAuthBearerExchange().respond(b"n,,\x01auth=Bearer hunter2 x\x01\x01")
    assert "hunter2" not in repr(caught.value)
