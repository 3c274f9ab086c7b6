import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.protocol.sasl.plain import PlainExchange

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def fault(message: bytes) -> SaslFault:
    with pytest.raises(SaslError) as caught:
        PlainExchange().respond(message)
    return caught.value.kind


@given(texts, texts)
def test_name_and_password_come_out_as_they_went_in(login: str, password: str) -> None:
    credentials = PlainExchange().respond(f"\0{login}\0{password}".encode())
    assert (credentials.authorization, credentials.login) == ("", login)
    assert credentials.password.reveal() == password


@given(st.binary(max_size=80))
def test_any_octets_give_credentials_or_a_sasl_error(message: bytes) -> None:
    try:
        PlainExchange().respond(message)
    except SaslError:
        return


def test_the_client_speaks_first() -> None:
    assert PlainExchange().challenge == b""


def test_an_authorization_identity_equal_to_the_name_means_oneself() -> None:
    assert PlainExchange().respond(b"Alice@x\0alice@x\0pw").authorization == ""


def test_another_authorization_identity_is_left_to_whoever_judges() -> None:
    credentials = PlainExchange().respond(b"bob\0alice\0pw")
    assert (credentials.authorization, credentials.login) == ("bob", "alice")


@pytest.mark.parametrize(
    "message",
    [b"", b"alice", b"\0alice", b"\0alice\0", b"\0\0pw", b"\0a\0b\0c", b"\0a\0b\0", b"\0\xff\0pw"],
)
def test_a_message_of_another_shape_is_invalid(message: bytes) -> None:
    assert fault(message) is SaslFault.INVALID


def test_no_error_shows_the_password() -> None:
    with pytest.raises(SaslError) as caught:
        PlainExchange().respond(b"\0alice\0hunter2\xff")
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
