"""Private keys in files: every form that programs write, each fault named, no secret quoted."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import ber, key_files, requests
from mailfront.keystore.formats import private_key_der, private_key_public_der
from mailfront.keystore.key_files import is_encrypted, load_private_key, read_key_file

PASSWORD = Secret("open sesame")
KEYS = {family: requests.KeyKind(family).generate() for family in requests.KEY_TYPES}
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8 = serialization.PrivateFormat.PKCS8
OLD = serialization.PrivateFormat.TraditionalOpenSSL
PLAIN = serialization.NoEncryption()
ENCRYPTED = serialization.BestAvailableEncryption(PASSWORD.reveal().encode())


def same(first: PrivateKeyTypes, second: PrivateKeyTypes) -> bool:
    return private_key_public_der(first) == private_key_public_der(second)


@pytest.mark.parametrize("family", KEYS)
@pytest.mark.parametrize("encoding", [PEM, DER])
@pytest.mark.parametrize("form", [PKCS8, OLD])
def test_plain_keys_are_read_in_every_form(
    family: str, encoding: serialization.Encoding, form: serialization.PrivateFormat
) -> None:
    if family == "ed25519" and form is OLD:
        return
    content = KEYS[family].private_bytes(encoding, form, PLAIN)
    assert not is_encrypted(content)
    assert same(load_private_key(content), KEYS[family])


@pytest.mark.parametrize("family", ["rsa", "ec"])
@pytest.mark.parametrize(("encoding", "form"), [(PEM, PKCS8), (DER, PKCS8), (PEM, OLD)])
def test_encrypted_keys_need_their_password(
    family: str, encoding: serialization.Encoding, form: serialization.PrivateFormat
) -> None:
    content = KEYS[family].private_bytes(encoding, form, ENCRYPTED)
    assert is_encrypted(content)
    assert same(load_private_key(content, PASSWORD), KEYS[family])
    with pytest.raises(KeystoreError, match="is encrypted"):
        load_private_key(content)
    with pytest.raises(KeystoreError, match="password does not open"):
        load_private_key(content, Secret("a guess"))


def test_a_password_that_is_not_needed_does_no_harm() -> None:
    content = KEYS["ec"].private_bytes(PEM, PKCS8, PLAIN)
    assert same(load_private_key(content, PASSWORD), KEYS["ec"])


def test_the_key_is_found_behind_parameters_text_and_certificates() -> None:
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    content = b"Bag Attributes: none\n" + parameters + KEYS["ec"].private_bytes(PEM, OLD, PLAIN)
    assert same(load_private_key(content + b"trailing text\n"), KEYS["ec"])
    windows = content.replace(b"\n", b"\r\n")
    assert same(load_private_key(windows), KEYS["ec"])


def test_openssh_keys_are_told_how_to_be_turned() -> None:
    content = KEYS["ed25519"].private_bytes(PEM, serialization.PrivateFormat.OpenSSH, PLAIN)
    with pytest.raises(KeystoreError, match="ssh-keygen"):
        load_private_key(content)


def test_a_certificate_is_no_key() -> None:
    with pytest.raises(KeystoreError, match="no private key in this PEM"):
        load_private_key(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x30\x03\x02\x01\x05"])
def test_other_bytes_are_no_key(content: bytes) -> None:
    with pytest.raises(KeystoreError, match="no private key"):
        load_private_key(content)


@pytest.mark.parametrize(
    "key", [dsa.generate_private_key(1024), x25519.X25519PrivateKey.generate()]
)
def test_kinds_that_no_server_can_use_are_refused(key: PrivateKeyTypes) -> None:
    with pytest.raises(KeystoreError, match="no TLS server can use"):
        load_private_key(private_key_der(key))


def endless(element: ber.Element) -> ber.Element:
    """Return the element with every count of iterations in it far beyond a life's time."""
    if element.tag == ber.INTEGER and element.number() > 1000:
        return ber.Element(ber.INTEGER, b"\x7f\xff\xff\xff", ())
    return ber.Element(element.tag, element.octets, tuple(map(endless, element.children)))


def test_a_derivation_without_end_is_refused_unrun() -> None:
    content = endless(ber.parse(KEYS["ec"].private_bytes(DER, PKCS8, ENCRYPTED))).encoded()
    label = b"ENCRYPTED PRIVATE KEY-----"
    pem = b"-----BEGIN " + label + base64.b64encode(content) + b"-----END " + label
    for form in (content, pem):
        with pytest.raises(KeystoreError, match="2147483647 iterations"):
            load_private_key(form, PASSWORD)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_or_one_error(content: bytes) -> None:
    for text in (content, b"-----BEGIN PRIVATE KEY-----" + content + b"-----END PRIVATE KEY-----"):
        with suppress(KeystoreError):
            load_private_key(text, PASSWORD)


def test_many_beginnings_without_end_cost_no_time() -> None:
    content = b"-----BEGIN RSA PRIVATE KEY-----\n" * 8000
    with pytest.raises(KeystoreError):
        load_private_key(content)


def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "privkey.pem"
    path.write_bytes(KEYS["ec"].private_bytes(PEM, PKCS8, PLAIN))
    path.chmod(0o600)
    assert read_key_file(path).warning == ""
    path.chmod(0o644)
    assert f"chmod 600 {path}" in read_key_file(path).warning
    path.write_bytes(KEYS["ec"].private_bytes(PEM, PKCS8, ENCRYPTED))
    assert read_key_file(path).warning == ""


def test_faults_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "privkey.pem"
    with pytest.raises(KeystoreError, match=r"privkey\.pem: cannot be read"):
        read_key_file(path)
    path.write_bytes(b"nothing")
    with pytest.raises(KeystoreError, match=r"privkey\.pem: there is no private key"):
        read_key_file(path).private_key()
    path.write_bytes(b"x" * (key_files.MAXIMUM_KEY_FILE + 1))
    with pytest.raises(KeystoreError, match="larger"):
        read_key_file(path)
