import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.protocol.sasl.gs2 import Binding, Gs2Header, decode_name

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("message", "header", "rest"),
    [
        (b"n,,rest", Gs2Header(Binding.UNSUPPORTED, "", "", b"n,,"), b"rest"),
        (b"y,a=b=2Cc=3D,", Gs2Header(Binding.NOT_OFFERED, "", "b,c=", b"y,a=b=2Cc=3D,"), b""),
        (
            b"p=tls-exporter,,n=x,r=y",
            Gs2Header(Binding.USED, "tls-exporter", "", b"p=tls-exporter,,"),
            b"n=x,r=y",
        ),
    ],
)
def test_a_header_is_read_and_kept_as_it_came(
    message: bytes, header: Gs2Header, rest: bytes
) -> None:
    assert Gs2Header.parse(message) == (header, rest)


@pytest.mark.parametrize(
    "message",
    [
        b"", b"n", b"n,", b"x,,", b"N,,", b"p,,", b"n,b=x,", b"n,a=,", b"n,a==,", b"n,a=x=2c,",
        b"n,a=\xff,", b"n,a=a\0b,", b"n,a=" + b"x" * 1100 + b",", b"F,n,,",
    ],
)  # fmt: skip
def test_any_other_header_is_invalid(message: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        Gs2Header.parse(message)
    assert caught.value.kind is SaslFault.INVALID


@given(names)
def test_every_name_survives_its_escapes(name: str) -> None:
    written = name.replace("=", "=3D").replace(",", "=2C")
    assert decode_name(written.encode()) == name


def test_a_bare_comma_is_no_part_of_a_name() -> None:
    with pytest.raises(SaslError):
        decode_name(b"a,b")


@given(st.binary(max_size=40))
def test_any_octets_are_a_header_or_a_sasl_error(message: bytes) -> None:
    try:
        header, rest = Gs2Header.parse(message)
    except SaslError:
        return
    assert header.octets + rest == message
