"""Certificates on a token: stored beside their keys, replaced, removed."""

from __future__ import annotations

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, ObjectClass

from mailfront.errors import KeystoreError
from mailfront.keystore.pkcs11.key_import import import_private_key
from mailfront.keystore.pkcs11.objects import find_certificate, read_contents
from mailfront.keystore.pkcs11.storing import (
    remove_entry,
    remove_key,
    rename_key,
    replace_certificate,
    require_free,
    store_certificate,
    undone_on_failure,
)
from tests.support.keystores import authority, certificate_for, intermediate, issued_by, self_signed

ROOT_KEY, ROOT = authority()
ISSUER_KEY, ISSUER = intermediate(ROOT_KEY, ROOT, "Issuing CA")
KEY, LEAF = issued_by(ISSUER_KEY, ISSUER, "mail.example.test")
assert isinstance(KEY, ec.EllipticCurvePrivateKey)
_, RENEWED = issued_by(ISSUER_KEY, ISSUER, "mail.example.test", key=KEY)


def store(session: pkcs11.Session, nickname: str = "imap") -> None:
    key = import_private_key(session, nickname, KEY)
    store_certificate(session, nickname, [LEAF, ISSUER], key)


def count(session: pkcs11.Session) -> int:
    return len(list(session.get_objects({Attribute.TOKEN: True})))


def test_a_certificate_has_the_identifier_of_its_key(session: pkcs11.Session) -> None:
    store(session)
    found = find_certificate(session, "imap")
    assert found.key is not None
    assert found.identifier == found.key.identifier
    attributes = found.found
    assert attributes[Attribute.SUBJECT] == LEAF.subject.public_bytes()
    assert attributes[Attribute.ISSUER] == LEAF.issuer.public_bytes()
    assert attributes[Attribute.PRIVATE] is False


def test_issuers_are_stored_with_it_once(session: pkcs11.Session) -> None:
    store(session)
    key, other = issued_by(ISSUER_KEY, ISSUER, "other.example.test")
    store_certificate(session, "other", [other, ISSUER], import_private_key(session, "other", key))
    contents = read_contents(session)
    assert sorted(record.nickname for record in contents.records()) == [
        "Issuing CA",
        "imap",
        "other",
    ]
    (imap,) = (record for record in contents.records() if record.nickname == "imap")
    assert imap.chain == (ISSUER,)


def test_a_renewed_certificate_takes_the_place_of_the_old(session: pkcs11.Session) -> None:
    store(session)
    present = find_certificate(session, "imap")
    assert present.key is not None
    replace_certificate(session, present, [RENEWED, ISSUER], present.key)
    renewed = find_certificate(session, "imap")
    assert renewed.certificate == RENEWED
    assert renewed.key == present.key


def test_the_same_certificate_may_get_the_issuers_it_lacked(session: pkcs11.Session) -> None:
    key = import_private_key(session, "imap", KEY)
    store_certificate(session, "imap", [LEAF], key)
    replace_certificate(session, find_certificate(session, "imap"), [LEAF, ISSUER], key)
    assert set(read_contents(session).issuers) == {LEAF, ISSUER}


def test_a_certificate_goes_with_its_key(session: pkcs11.Session) -> None:
    key, certificate = self_signed()
    store_certificate(session, "imap", [certificate], import_private_key(session, "imap", key))
    assert count(session) == 3
    assert remove_entry(session, "imap") == (True, True)
    assert count(session) == 0


def test_a_key_that_another_certificate_has_stays(session: pkcs11.Session) -> None:
    key, certificate = self_signed()
    stored = import_private_key(session, "imap", key)
    store_certificate(session, "imap", [certificate], stored)
    store_certificate(session, "renewed", [certificate_for(key)], stored)
    assert remove_entry(session, "imap") == (True, False)
    assert find_certificate(session, "renewed").key is not None


def test_a_key_without_certificate_can_be_removed(session: pkcs11.Session) -> None:
    import_private_key(session, "waits", KEY)
    assert remove_entry(session, "waits") == (False, True)
    assert count(session) == 0
    with pytest.raises(KeystoreError, match="no certificate"):
        remove_entry(session, "waits")


def test_a_key_is_not_removed_by_its_own_label_from_under_its_certificate(
    session: pkcs11.Session,
) -> None:
    key = import_private_key(session, "key", KEY)
    store_certificate(session, "certificate", [LEAF], key)
    with pytest.raises(KeystoreError):
        remove_entry(session, "key")
    assert find_certificate(session, "certificate").key is not None


def test_a_key_can_be_renamed_with_its_public_half(session: pkcs11.Session) -> None:
    key = rename_key(session, import_private_key(session, "old", KEY), "new")
    assert key.nickname == "new"
    labels = {one[Attribute.LABEL] for one in session.get_objects({Attribute.ID: key.identifier})}
    assert labels == {"new"}
    remove_key(session, key)
    assert count(session) == 0


def test_nicknames_in_use_are_told(session: pkcs11.Session) -> None:
    store(session)
    import_private_key(session, "waits", self_signed()[0])
    contents = read_contents(session)
    for nickname, told in (("imap", "certificate HSM One:imap"), ("waits", "without certificate")):
        with pytest.raises(KeystoreError, match=told):
            require_free(contents, nickname)
    require_free(contents, "other")


def test_what_was_made_before_a_failure_goes_again(session: pkcs11.Session) -> None:
    template = {Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.LABEL: "x"}

    def fail() -> None:
        with undone_on_failure() as made:
            made.append(session.create_object(template))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert count(session) == 0
