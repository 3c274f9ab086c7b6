"""Making certificates: names, dates, keys, and the profile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.keystore import requests
from mailfront.keystore.formats import general_name_text, key_description, name_text
from tests.support.keystores import self_signed

NOW = datetime(2026, 1, 31, 12, 0, 30, 999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "regular"),
    [
        ("CN=siroe,L=SantaClara,ST=ca,C=us", "CN=siroe,L=SantaClara,ST=ca,C=us"),
        ("cn=mail, o=Example", "CN=mail,O=Example"),
        (r"CN=Example\, Inc,O=x", r"CN=Example\, Inc,O=x"),
        ("CN=a+OU=b,O=c", "CN=a+OU=b,O=c"),
        ("emailAddress=a@example.test,CN=x", "E=a@example.test,CN=x"),
        ("CN=Zürich", "CN=Zürich"),
        ("2.5.4.3=mail", "CN=mail"),
    ],
)
def test_subjects_are_read_as_rfc_4514_and_as_people_write_it(text: str, regular: str) -> None:
    assert name_text(requests.parse_subject(text)) == regular


@pytest.mark.parametrize(
    "text", ["", "mail.example.test", "CN", "CN=", "XX=1", "CN=a,", "CN=a,,O=b"]
)
def test_a_malformed_subject_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(KeystoreError, match="CN="):
        requests.parse_subject(text)


@pytest.mark.parametrize("text", ["CN=a,C=usa", "C=u,CN=a", "CN=a,C=1x", "CN=a, c=Germany"])
def test_a_country_in_a_subject_has_two_letters(text: str) -> None:
    with pytest.raises(KeystoreError, match="two letters"):
        requests.parse_subject(text)


@given(st.text(max_size=80))
def test_any_text_is_a_subject_or_a_keystore_error(text: str) -> None:
    try:
        subject = requests.parse_subject(text)
    except KeystoreError:
        return
    assert subject.rdns


def test_a_subject_is_built_of_its_parts() -> None:
    subject = requests.build_subject(
        name="mail", org="Example, Inc", org_unit="Mail", city="Bern", state="BE", country="ch"
    )
    assert name_text(subject) == r"CN=mail,OU=Mail,O=Example\, Inc,L=Bern,ST=BE,C=ch"


def test_parts_that_are_not_given_are_left_out() -> None:
    assert name_text(requests.build_subject(name="mail", country="")) == "CN=mail"


@pytest.mark.parametrize("country", ["usa", "u", "1x", "ü1", "  "])
def test_a_country_has_two_letters(country: str) -> None:
    with pytest.raises(KeystoreError, match="two letters"):
        requests.build_subject(name="mail", country=country)


def test_a_part_that_is_too_long_is_named() -> None:
    with pytest.raises(KeystoreError, match="--name"):
        requests.build_subject(name="m" * 65, country="")


@pytest.mark.parametrize(
    ("text", "regular"),
    [
        ("mail.example.test", "DNS:mail.example.test"),
        ("Mail.Example.Test.", "DNS:mail.example.test"),
        ("*.example.test", "DNS:*.example.test"),
        ("localhost", "DNS:localhost"),
        ("xn--mnchen-3ya.example", "DNS:xn--mnchen-3ya.example"),
        ("192.0.2.7", "IP:192.0.2.7"),
        ("2001:db8::7", "IP:2001:db8::7"),
        ("[2001:db8::7]", "IP:2001:db8::7"),
        ("postmaster@example.test", "email:postmaster@example.test"),
        ("DNS:mail", "DNS:mail"),
        ("ip:192.0.2.7", "IP:192.0.2.7"),
        ("EMAIL:a@b", "email:a@b"),
        (" mail ", "DNS:mail"),
    ],
)
def test_alternative_names_are_told_apart_by_their_form(text: str, regular: str) -> None:
    assert general_name_text(requests.parse_alternative_name(text)) == regular


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a..b",
        "-a.example",
        "mail.*",
        "a*.example",
        "münchen.example",
        "999.1.1.1",
        "https://example.test",
        "DNS:192.0.2.7",
        "IP:mail",
        "email:mail",
        "a@@b",
        "x" * 64,
        "@b",
    ],
)
def test_what_no_certificate_can_carry_is_refused(text: str) -> None:
    with pytest.raises(KeystoreError, match="no name that a certificate can carry"):
        requests.parse_alternative_name(text)


@given(st.text(max_size=80))
def test_any_text_is_an_alternative_name_or_a_keystore_error(text: str) -> None:
    try:
        name = requests.parse_alternative_name(text)
    except KeystoreError:
        return
    x509.SubjectAlternativeName([name]).public_bytes()


def test_a_common_name_that_is_a_host_name_is_the_default_alternative_name() -> None:
    def names(subject: str) -> list[str]:
        parsed = requests.parse_subject(subject)
        return [general_name_text(name) for name in requests.default_alternative_names(parsed)]

    assert names("CN=mail.example.test,O=x") == ["DNS:mail.example.test"]
    assert names("CN=Mail Server") == []
    assert names("O=x") == []


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ((2026, 1, 15), 3, (2026, 4, 15)),
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2027, 11, 30), 3, (2028, 2, 29)),
        ((2026, 12, 1), 1, (2027, 1, 1)),
        ((2024, 2, 29), 12, (2025, 2, 28)),
        ((2026, 5, 5), 120, (2036, 5, 5)),
    ],
)
def test_validity_counts_calendar_months(
    start: tuple[int, int, int], months: int, end: tuple[int, int, int]
) -> None:
    begin = datetime(*start, 8, 30, tzinfo=UTC)
    assert requests.months_later(begin, months) == datetime(*end, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("months", [-1, 0, 121, 10**9])
def test_a_validity_out_of_range_is_refused(months: int) -> None:
    with pytest.raises(KeystoreError, match="1 to 120 months"):
        requests.months_later(NOW, months)


@pytest.mark.parametrize(
    ("kind", "description"),
    [
        (requests.KeyKind(), "EC P-256"),
        (requests.KeyKind("ec", curve="p-384"), "EC P-384"),
        (requests.KeyKind("rsa"), "RSA 2048"),
        (requests.KeyKind("rsa", size=3072), "RSA 3072"),
        (requests.KeyKind("ed25519"), "Ed25519"),
    ],
)
def test_keys_of_every_kind_are_made(kind: requests.KeyKind, description: str) -> None:
    assert key_description(kind.generate().public_key()) == description


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (requests.KeyKind("rsa", size=1024), "too weak"),
        (requests.KeyKind("rsa", size=2047), "too weak"),
        (requests.KeyKind("rsa", size=10**9), "not made here"),
        (requests.KeyKind("rsa", curve="P-256"), "do not go with"),
        (requests.KeyKind("ec", size=256), "do not go with"),
        (requests.KeyKind("ed25519", size=256), "do not go with"),
        (requests.KeyKind("ec", curve="P-192"), "unknown curve"),
        (requests.KeyKind("dsa"), "unknown key type"),
    ],
)
def test_other_kinds_are_refused_with_what_is_possible(kind: requests.KeyKind, words: str) -> None:
    with pytest.raises(KeystoreError, match=words):
        kind.generate()


@pytest.mark.parametrize("family", ["ec", "rsa", "ed25519"])
def test_a_self_signed_certificate_verifies_with_its_own_key(family: str) -> None:
    _, certificate = self_signed(family=family)
    certificate.verify_directly_issued_by(certificate)


def test_the_profile_is_that_of_a_server_and_no_authority() -> None:
    key, certificate = self_signed()
    extensions = certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_encipherment
    assert not usage.value.key_cert_sign
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier == x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    assert certificate.version is x509.Version.v3


def test_an_rsa_certificate_may_encipher_keys_for_old_tls_clients() -> None:
    _, certificate = self_signed(family="rsa")
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_encipherment


def test_serial_numbers_are_positive_long_and_random() -> None:
    serials = {self_signed()[1].serial_number for _ in range(50)}
    assert len(serials) == 50
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials).bit_length() > 64


def test_a_certificate_begins_a_little_before_now_and_ends_on_the_second() -> None:
    _, certificate = self_signed(now=NOW, days=90)
    assert certificate.not_valid_before_utc == datetime(2026, 1, 31, 11, 55, 30, tzinfo=UTC)
    assert certificate.not_valid_after_utc == (NOW + timedelta(days=90)).replace(microsecond=0)


def test_a_name_given_twice_stands_once() -> None:
    key = requests.KeyKind().generate()
    names = [requests.parse_alternative_name(text) for text in ("a.example", "A.example", "b")]
    certificate = requests.self_signed_certificate(
        key, requests.parse_subject("CN=a"), names, now=NOW, expires=NOW + timedelta(days=1)
    )
    present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [general_name_text(name) for name in present] == ["DNS:a.example", "DNS:b"]


def test_a_flood_of_names_is_refused() -> None:
    key = requests.KeyKind().generate()
    names = [x509.DNSName(f"h{number}.example") for number in range(requests.MAXIMUM_NAMES + 1)]
    with pytest.raises(KeystoreError, match="alternative names"):
        requests.self_signed_certificate(
            key, requests.parse_subject("CN=a"), names, now=NOW, expires=NOW + timedelta(days=1)
        )


def test_a_host_name_too_long_for_a_common_name_gives_its_first_label() -> None:
    assert requests.name_of_host("mail.example.test") == "mail.example.test"
    assert requests.name_of_host("mail." + "x" * 63 + ".test") == "mail"


@pytest.mark.parametrize(
    "kind", [requests.KeyKind(), requests.KeyKind("rsa"), requests.KeyKind("ed25519")]
)
def test_a_request_asks_for_subject_and_names_and_is_signed_with_its_key(
    kind: requests.KeyKind,
) -> None:
    key = kind.generate()
    subject = requests.parse_subject("CN=mail.example.com,O=Example")
    names = [x509.DNSName("mail.example.com"), x509.DNSName("mail.example.com")]
    request = requests.certificate_request(key, subject, names)
    assert request.is_signature_valid
    assert request.subject == subject
    assert request.public_key() == key.public_key()
    (extension,) = request.extensions
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    assert list(extension.value) == [x509.DNSName("mail.example.com")]
    assert list(requests.certificate_request(key, subject, ()).extensions) == []


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (rsa.generate_private_key(65537, 1024), requests.KeyKind("rsa", size=2048)),
        (rsa.generate_private_key(65537, 2056), requests.KeyKind("rsa", size=3072)),
        (ec.generate_private_key(ec.SECP384R1()), requests.KeyKind("ec", curve="P-384")),
        (ec.generate_private_key(ec.SECP521R1()), requests.KeyKind("ec")),
        (ed25519.Ed25519PrivateKey.generate(), requests.KeyKind("ed25519")),
        (ed448.Ed448PrivateKey.generate(), requests.KeyKind("ec")),
    ],
)
def test_a_new_key_in_place_of_another_is_of_its_kind_where_that_is_made(
    key: CertificateIssuerPrivateKeyTypes, kind: requests.KeyKind
) -> None:
    assert requests.KeyKind.like(key.public_key()) == kind
