"""What is on a token is listed and found, whoever put it there."""

from __future__ import annotations

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pkcs11 import Attribute, CertificateType, KeyType, MechanismFlag, ObjectClass

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore.formats import (
    certificate_der,
    certificate_public_key_der,
    public_key_der,
)
from mailfront.keystore.pkcs11 import objects
from mailfront.keystore.pkcs11.generation import generate_key_pair
from mailfront.keystore.pkcs11.key_import import import_private_key
from mailfront.keystore.pkcs11.objects import (
    find_certificate,
    find_private_key,
    objects_of,
    plain_token_errors,
    read_contents,
)
from mailfront.keystore.pkcs11.public_keys import key_identifier, public_key_attributes
from mailfront.keystore.pkcs11.storing import store_certificate
from mailfront.keystore.requests import KeyKind
from tests.support.keystores import self_signed

KEY, CERTIFICATE = self_signed()
RSA_KEY, RSA_CERTIFICATE = self_signed(family="rsa")
_, OTHER = self_signed("other.example.test")


def put_certificate(
    session: pkcs11.Session, der: bytes, label: str, identifier: bytes = b"\7"
) -> None:
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.CERTIFICATE,
            Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
            Attribute.TOKEN: True,
            Attribute.SUBJECT: b"0\0",
            Attribute.LABEL: label,
            Attribute.ID: identifier,
            Attribute.VALUE: der,
        }
    )


def test_certificates_are_listed_with_their_keys(session: pkcs11.Session) -> None:
    for nickname, key, certificate in (
        ("imap-ec", KEY, CERTIFICATE),
        ("imap-rsa", RSA_KEY, RSA_CERTIFICATE),
    ):
        stored = import_private_key(session, nickname, key)
        store_certificate(session, nickname, [certificate], stored)
    waiting = generate_key_pair(session, "waits", KeyKind("ec"))
    contents = read_contents(session)
    assert [record.qualified_nickname for record in contents.records()] == [
        "HSM One:imap-ec",
        "HSM One:imap-rsa",
    ]
    assert all(record.has_key for record in contents.records())
    assert contents.waiting == (waiting,)
    assert contents.unusable == ()


def test_a_certificate_is_found_by_nickname(session: pkcs11.Session) -> None:
    put_certificate(session, certificate_der(CERTIFICATE), "imap")
    assert find_certificate(session, "imap").certificate == CERTIFICATE
    with pytest.raises(KeystoreError, match="on the token 'HSM One': did you mean imap"):
        find_certificate(session, "imp")
    generate_key_pair(session, "waits", KeyKind("ec"))
    with pytest.raises(KeystoreError, match="key without certificate"):
        find_certificate(session, "waits")


def test_a_label_of_several_certificates_is_ambiguous(session: pkcs11.Session) -> None:
    put_certificate(session, certificate_der(CERTIFICATE), "imap", b"\x01")
    put_certificate(session, certificate_der(OTHER), "imap", b"\xab\xcd")
    with pytest.raises(KeystoreError, match=r"2 objects .* have the label 'imap'.*01, abcd|abcd, "):
        find_certificate(session, "imap")


def test_the_same_certificate_twice_is_one(session: pkcs11.Session) -> None:
    for identifier in (b"\1", b"\2"):
        put_certificate(session, certificate_der(CERTIFICATE), "imap", identifier)
    assert find_certificate(session, "imap").certificate == CERTIFICATE


@pytest.mark.parametrize("label", ["\udcff\udcfe", "a,b", "tab\there", "\u202e", "", "x" * 300])
def test_odd_labels_hide_nothing(session: pkcs11.Session, label: str) -> None:
    put_certificate(session, certificate_der(CERTIFICATE), label, b"\x0a")
    put_certificate(session, certificate_der(OTHER), "plain")
    records = read_contents(session).records()
    assert {record.certificate for record in records} == {CERTIFICATE, OTHER}
    (odd,) = (record for record in records if record.nickname != "plain")
    assert find_certificate(session, odd.nickname).certificate == CERTIFICATE


@pytest.mark.parametrize(
    "der", [b"", b"garbage", certificate_der(CERTIFICATE)[:-5], b"0" * 100_000]
)
def test_what_is_no_certificate_is_told_and_passed_over(
    session: pkcs11.Session, der: bytes
) -> None:
    put_certificate(session, der, "broken")
    put_certificate(session, certificate_der(OTHER), "plain")
    contents = read_contents(session)
    assert [record.nickname for record in contents.records()] == ["plain"]
    (told,) = contents.unusable
    assert "'broken' cannot be read" in told


def test_keys_of_other_kinds_are_told_and_passed_over(session: pkcs11.Session) -> None:
    parameters = session.create_domain_parameters(
        KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: b"\x13\x0cedwards25519"}, local=True
    )
    parameters.generate_keypair(label="edwards", store=True, capabilities=MechanismFlag.SIGN)
    session.generate_key(KeyType.AES, 256, label="secret", store=True)
    contents = read_contents(session)
    assert [key.family for key in contents.keys] == ["EC_EDWARDS"]
    assert contents.waiting == ()
    assert contents.unusable == ("the key 'edwards' is of no kind for TLS (EC_EDWARDS)",)


def put_private_key(session: pkcs11.Session, identifier: bytes, label: str = "k") -> None:
    assert isinstance(KEY, ec.EllipticCurvePrivateKey)
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.TOKEN: True,
            Attribute.LABEL: label,
            Attribute.ID: identifier,
            Attribute.SIGN: True,
            Attribute.EC_PARAMS: public_key_attributes(KEY.public_key())[Attribute.EC_PARAMS],
            Attribute.VALUE: KEY.private_numbers().private_value.to_bytes(32),
        }
    )


def test_a_certificate_tells_the_public_half_of_a_key_with_its_identifier(
    session: pkcs11.Session,
) -> None:
    put_private_key(session, b"\1")
    put_certificate(session, certificate_der(CERTIFICATE), "imap", b"\1")
    assert find_certificate(session, "imap").key is not None
    assert find_private_key(session, certificate_public_key_der(CERTIFICATE)) is not None


def test_without_identifiers_the_label_tells_the_public_half(session: pkcs11.Session) -> None:
    assert isinstance(KEY, ec.EllipticCurvePrivateKey)
    put_private_key(session, b"", "mykey")
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.TOKEN: True,
            Attribute.LABEL: "mykey",
            **public_key_attributes(KEY.public_key()),
        }
    )
    put_certificate(session, certificate_der(CERTIFICATE), "imap", b"")
    assert find_certificate(session, "imap").key is not None


def test_a_key_whose_public_half_is_nowhere_is_told(session: pkcs11.Session) -> None:
    put_private_key(session, b"\1")
    put_certificate(session, certificate_der(CERTIFICATE), "imap", b"\2")
    contents = read_contents(session)
    assert contents.certificates[0].key is None
    assert contents.unusable == ("nothing on the token tells the public half of 'k'",)


def test_the_identifier_that_follows_from_the_public_key_finds_it_nevertheless(
    session: pkcs11.Session,
) -> None:
    assert isinstance(KEY, ec.EllipticCurvePrivateKey)
    put_private_key(session, key_identifier(KEY.public_key()))
    found = find_private_key(session, certificate_public_key_der(CERTIFICATE))
    assert found is not None
    assert found.public_key == KEY.public_key()


def test_a_key_that_is_not_there_is_not_found(session: pkcs11.Session) -> None:
    generate_key_pair(session, "other", KeyKind("ec"))
    assert find_private_key(session, certificate_public_key_der(CERTIFICATE)) is None
    assert find_private_key(session, b"no key") is None
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    assert find_private_key(session, public_key_der(edwards)) is None


def test_searches_are_bounded(session: pkcs11.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        session.create_object({Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: str(number)})
    monkeypatch.setattr(objects, "MAXIMUM_OBJECTS", 3)
    assert len(objects_of(session, {Attribute.CLASS: ObjectClass.DATA})) == 3
    monkeypatch.setattr(objects, "MAXIMUM_OBJECTS", 2)
    with pytest.raises(TokenError, match="more than 2 objects"):
        objects_of(session, {Attribute.CLASS: ObjectClass.DATA})
    # The search that was given up is over: another can begin.
    monkeypatch.setattr(objects, "MAXIMUM_OBJECTS", 3)
    assert len(objects_of(session, {Attribute.CLASS: ObjectClass.DATA})) == 3


def test_what_a_module_answers_is_told_in_words(session: pkcs11.Session) -> None:
    with (
        pytest.raises(TokenError, match="'HSM One': it sings: it is gone") as caught,
        plain_token_errors(session, "it sings"),
    ):
        raise pkcs11.DeviceRemoved
    assert caught.value.temporary


def test_hundreds_of_objects_are_listed(session: pkcs11.Session) -> None:
    for number in range(300):
        put_certificate(session, certificate_der(CERTIFICATE), f"copy {number}", b"\1")
    assert len(read_contents(session).records()) == 300
