import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import CertificateCredentials
from mailfront.protocol.sasl.external import MAXIMUM_NAME_OCTETS, ExternalExchange


@pytest.mark.parametrize(("message", "name"), [(b"", ""), ("bücher".encode(), "bücher")])
def test_the_message_is_the_authorization_identity(message: bytes, name: str) -> None:
    assert ExternalExchange().respond(message) == CertificateCredentials(name)


@pytest.mark.parametrize("message", [b"a\0b", b"\0", b"\xff", b"x" * (MAXIMUM_NAME_OCTETS + 1)])
def test_what_is_no_name_is_invalid(message: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        ExternalExchange().respond(message)
    assert caught.value.kind is SaslFault.INVALID


@given(st.binary(max_size=60))
def test_any_octets_are_a_name_or_a_sasl_error(message: bytes) -> None:
    try:
        credentials = ExternalExchange().respond(message)
    except SaslError:
        return
    assert credentials.authorization.encode() == message
