"""BER: DER is read and written back unchanged, other forms are normalised, the rest is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.keystore import ber
from mailfront.keystore.formats import certificate_der
from tests.support.keystores import self_signed

KEY, CERTIFICATE = self_signed()
DER = certificate_der(CERTIFICATE)


def test_a_certificate_is_read_and_written_back_unchanged() -> None:
    element = ber.parse(DER)
    assert element.has(ber.SEQUENCE, ber.SEQUENCE)
    assert element.encoded() == DER


def test_indefinite_lengths_and_strings_in_pieces_become_der() -> None:
    pieces = bytes.fromhex("3080 2480 0401aa 0402bbcc 0000 020105 0000")
    element = ber.parse(pieces)
    assert element.children[0].string() == b"\xaa\xbb\xcc"
    assert element.children[1].number() == 5
    assert element.encoded() == bytes.fromhex("3008 0403aabbcc 020105")


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "30",
        "3003020105ff",
        "3005020105",
        "3080020105",
        "0480",
        "30850000000003",
        "1f8101",
        "30020205",
    ],
)
def test_what_is_malformed_is_refused(octets: str) -> None:
    with pytest.raises(KeystoreError):
        ber.parse(bytes.fromhex(octets))


def test_every_shortened_certificate_is_refused() -> None:
    for length in range(len(DER)):
        with pytest.raises(KeystoreError):
            ber.parse(DER[:length])


def test_bytes_behind_the_element_are_refused() -> None:
    with pytest.raises(KeystoreError):
        ber.parse(DER + b"\0")


def test_depth_is_bounded() -> None:
    with pytest.raises(KeystoreError, match="too deep"):
        ber.parse(b"\x30\x80" * 100_000)


def test_the_number_of_elements_is_bounded() -> None:
    many = b"\x05\x00" * 100_000
    with pytest.raises(KeystoreError, match="too many"):
        ber.parse(b"\x30\x83" + len(many).to_bytes(3) + many)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_element_or_one_error(octets: bytes) -> None:
    with suppress(KeystoreError):
        ber.parse(ber.parse(octets).encoded())


@given(st.data())
def test_any_changed_certificate_is_an_element_or_one_error(data: st.DataObject) -> None:
    changed = bytearray(DER)
    changed[data.draw(st.integers(0, len(DER) - 1))] = data.draw(st.integers(0, 255))
    with suppress(KeystoreError):
        ber.parse(bytes(changed))


@pytest.mark.parametrize("dotted", ["1.2.840.113549.1.7.1", "2.5.29.17", "1.3.6.1.4.1.11591.4.11"])
def test_object_identifiers_are_encoded_as_the_library_does(dotted: str) -> None:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), b"")
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(extension, critical=False)
        .sign(KEY, SHA256())
    )
    content = ber.object_identifier(dotted)
    assert bytes((ber.OBJECT_IDENTIFIER, len(content))) + content in request.tbs_certrequest_bytes


@pytest.mark.parametrize("dotted", ["2.5.4.3", "1.2.840.113549.1.9.1", "0.9.2342", "2.999.3"])
def test_an_object_identifier_is_read_as_it_was_written(dotted: str) -> None:
    assert ber.dotted_identifier(ber.object_identifier(dotted)) == dotted


@pytest.mark.parametrize("octets", [b"", b"\x80", b"\x55\x84", b"\x55" + b"\xff" * 30 + b"\x01"])
def test_no_object_identifier_without_an_end_or_of_any_size(octets: bytes) -> None:
    with pytest.raises(KeystoreError):
        ber.dotted_identifier(octets)
