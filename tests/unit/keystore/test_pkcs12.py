"""PKCS#12: what is written is read, by its password only; faults are told apart."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import ber
from mailfront.keystore import pkcs12 as module
from mailfront.keystore.formats import private_key_public_der
from mailfront.keystore.pkcs12 import is_pkcs12, read_pkcs12, write_pkcs12
from tests.support.keystores import authority, issued_by, self_signed

PASSWORD = Secret("pässword: öne")
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")


def cheap(name: bytes = b"imap-cert", rounds: int = 1) -> bytes:
    """A file like ours whose key derivation costs nothing."""
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(rounds)
    return pkcs12.serialize_key_and_certificates(
        name, KEY, LEAF, [CA], builder.build(PASSWORD.reveal().encode())
    )


CHEAP = cheap()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("family", ["ec", "rsa", "ed25519"])
def test_what_is_written_is_read(family: str, legacy: bool) -> None:
    key, certificate = self_signed(family=family)
    content = write_pkcs12("imap-cert", key, [certificate, CA], PASSWORD, legacy=legacy)
    assert is_pkcs12(content)
    contents = read_pkcs12(content, PASSWORD)
    (identity,) = contents.identities
    assert identity.friendly_name == "imap-cert"
    assert identity.certificate == certificate
    assert private_key_public_der(identity.private_key) == private_key_public_der(key)
    assert contents.others == (CA,)


def test_a_wrong_password_is_told_as_such() -> None:
    for password in (Secret("a guess"), None, Secret("")):
        with pytest.raises(KeystoreError, match="password does not open") as refusal:
            read_pkcs12(CHEAP, password)
        assert "guess" not in str(refusal.value)


def test_a_file_without_password_opens_without() -> None:
    open_to_all = pkcs12.serialize_key_and_certificates(
        b"imap-cert", KEY, LEAF, None, NoEncryption()
    )
    assert read_pkcs12(open_to_all, None).identities[0].certificate == LEAF


def test_certificates_alone_are_no_identity() -> None:
    content = pkcs12.serialize_java_truststore(
        [pkcs12.PKCS12Certificate(CA, b"Example CA")],
        PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1).build(b"x"),
    )
    contents = read_pkcs12(content, Secret("x"))
    assert contents.identities == ()
    assert contents.others == (CA,)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x30\x00", b"\x30\x03\x02\x01\x03"])
def test_other_bytes_are_no_pkcs12_file(content: bytes) -> None:
    assert not is_pkcs12(content)
    with pytest.raises(KeystoreError, match="not a PKCS#12 file"):
        read_pkcs12(content, PASSWORD)


def test_a_derivation_without_end_is_refused_unrun() -> None:
    content = cheap(rounds=0x123456)
    assert content.count(b"\x02\x03\x12\x34\x56") >= 2
    endless = ber.parse(content)
    mac = endless.children[2]
    count = ber.Element(ber.INTEGER, b"\x7f\xff\xff\xff", ())
    altered = ber.Element(mac.tag, b"", (*mac.children[:2], count))
    file = ber.Element(endless.tag, b"", (*endless.children[:2], altered))
    with pytest.raises(KeystoreError, match="2147483647 iterations"):
        read_pkcs12(file.encoded(), PASSWORD)


def test_size_is_bounded() -> None:
    with pytest.raises(KeystoreError, match="is not read"):
        read_pkcs12(bytes(module.MAXIMUM_FILE + 1), PASSWORD)


def test_every_shortened_file_is_refused() -> None:
    for length in range(0, len(CHEAP), 7):
        with pytest.raises(KeystoreError):
            read_pkcs12(CHEAP[:length], PASSWORD)


@settings(deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused_or_changes_nothing_that_counts(data: st.DataObject) -> None:
    changed = bytearray(CHEAP)
    changed[data.draw(st.integers(0, len(CHEAP) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(KeystoreError):
        contents = read_pkcs12(bytes(changed), PASSWORD)
        assert [identity.certificate for identity in contents.identities] == [LEAF]


@given(st.binary(max_size=300))
def test_any_bytes_are_one_error(content: bytes) -> None:
    with pytest.raises(KeystoreError):
        read_pkcs12(content, PASSWORD)
