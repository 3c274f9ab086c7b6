from __future__ import annotations

import pytest
from cryptography import x509

from mailfront.authentication.certificate_names import MAXIMUM_ADDRESSES, certificate_names
from mailfront.errors import KeystoreError
from mailfront.protocol.distinguished_name import DistinguishedName
from tests.support.client_certificates import (
    ANN,
    ISSUER,
    SMTP_UTF8_MAILBOX,
    USER_PRINCIPAL_NAME,
    client_der,
    other_name,
)


def test_subject_and_issuer_stand_the_most_specific_part_first() -> None:
    names = certificate_names(client_der())
    assert str(names.subject) == ANN
    assert names.issuer == DistinguishedName.parse(ISSUER)
    assert names.emails == names.principal_names == ()


def test_mail_addresses_of_both_kinds_are_read_in_one_spelling() -> None:
    der = client_der(
        alternative=[
            x509.RFC822Name("Ann@Example.COM"),
            x509.DNSName("example.com"),
            other_name(SMTP_UTF8_MAILBOX, "zoë@bücher.example"),
            other_name(SMTP_UTF8_MAILBOX, "zoë@xn--bcher-kva.example"),
            x509.RFC822Name("ann@example.com"),
            x509.RFC822Name("example.com"),
            other_name(USER_PRINCIPAL_NAME, "ann@corp.example"),
            other_name(USER_PRINCIPAL_NAME, "ann@corp.example"),
            other_name("1.2.3.4", "bob@example.com"),
        ]
    )
    names = certificate_names(der)
    assert names.emails == ("ann@example.com", "zoë@xn--bcher-kva.example")
    assert names.principal_names == ("ann@corp.example",)


@pytest.mark.parametrize("value", [b"\x04\x01a", b"\x0c\x01\xff", b"\x30\x00", b"\x0c\x00"])
def test_a_further_name_that_is_no_text_is_left_out(value: bytes) -> None:
    mailbox = x509.OtherName(x509.ObjectIdentifier(SMTP_UTF8_MAILBOX), value)
    principal = x509.OtherName(x509.ObjectIdentifier(USER_PRINCIPAL_NAME), value)
    names = certificate_names(client_der(alternative=[mailbox, principal]))
    assert names.emails == names.principal_names == ()


def test_a_subject_may_be_empty() -> None:
    names = certificate_names(client_der("", alternative=[x509.RFC822Name("ann@example.com")]))
    assert not names.subject
    assert names.emails == ("ann@example.com",)


@pytest.mark.parametrize(
    ("tag", "octets", "text"),
    [
        (0x14, "Zoë!".encode("latin-1"), "Zoë!"),
        (0x1E, "Zoë".encode("utf-16-be"), "Zoë"),
        (0x1C, "Zoë".encode("utf-32-be"), "Zoë"),
    ],
)
def test_old_string_types_are_read_also_where_the_library_gives_up(
    tag: int, octets: bytes, text: str
) -> None:
    size = len(octets)
    encoded = client_der("CN=" + "q" * size + ",O=Example")
    changed = encoded.replace(bytes((0x0C, size)) + b"q" * size, bytes((tag, size)) + octets)
    assert changed != encoded
    names = certificate_names(changed)
    assert names.subject == DistinguishedName.parse(f"CN={text},O=Example")
    assert names.issuer == DistinguishedName.parse(ISSUER)


def test_a_value_that_is_no_text_stays_octets() -> None:
    encoded = client_der("CN=qqqqqq,O=Example")
    changed = encoded.replace(b"\x0c\x06qqqqqq", b"\x30\x06\x02\x01\x05\x02\x01\x06")
    assert str(certificate_names(changed).subject) == "CN=#3006020105020106,O=Example"


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"x" * 100])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(KeystoreError):
        certificate_names(der)


def test_a_certificate_with_very_many_addresses_is_refused() -> None:
    many = [x509.RFC822Name(f"a{number}@example.com") for number in range(MAXIMUM_ADDRESSES + 1)]
    certificate_names(client_der(alternative=many[1:]))
    with pytest.raises(KeystoreError, match="more than 16 addresses"):
        certificate_names(client_der(alternative=many))


def test_alternative_names_that_cannot_be_read_are_an_error_not_an_absence() -> None:
    encoded = client_der(alternative=[x509.RFC822Name("ann@example.com")])
    changed = encoded.replace(b"ann@example.com", b"ann@example.\xff\xff\xff")
    with pytest.raises(KeystoreError, match="malformed"):
        certificate_names(changed)
