"""DKIM keys: their names, their records, and which of them are in use."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mailfront.errors import ConfigurationError, KeystoreError
from mailfront.keystore.nicknames import check_nickname
from mailfront.outgoing.dkim.keys import (
    DomainKey,
    key_name,
    new_key,
    parse_selectors,
    record_strings,
    record_text,
    signing_key,
    split_name,
)


def test_the_nickname_is_the_name_of_the_record() -> None:
    name = key_name("Example.Test.", "S2026")
    assert name == "s2026._domainkey.example.test"
    assert split_name(name) == ("example.test", "s2026")
    check_nickname(name)


@pytest.mark.parametrize("nickname", ["imap-cert", "._domainkey.", "x._domainkey.", ""])
def test_other_nicknames_are_no_keys_of_dkim(nickname: str) -> None:
    assert split_name(nickname) is None


@pytest.mark.parametrize(
    ("domain", "selector"),
    [("example", "s"), ("example.test", ""), ("", "s"), ("a b.test", "s"), ("a.test", "s,t"),
     ("a.test", "s:t"), ("a" * 250 + ".test", "s"), ("x._domainkey.y.test", "s")],
)  # fmt: skip
def test_what_is_no_name_is_refused(domain: str, selector: str) -> None:
    with pytest.raises(ConfigurationError):
        key_name(domain, selector)


def test_several_selectors_of_a_domain_sign_together() -> None:
    chosen = parse_selectors(["example.test:rsa1", "example.test:ed1", "Example.Org:x"])
    assert chosen == {"example.test": ("rsa1", "ed1"), "example.org": ("x",)}


def test_an_item_without_selector_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DOMAIN:SELECTOR"):
        parse_selectors(["example.test"])


def test_an_rsa_record_holds_the_public_key_in_strings_that_dns_takes() -> None:
    key = new_key("rsa-2048")
    assert isinstance(key, rsa.RSAPrivateKey)
    text = record_text(key.public_key())
    assert text.startswith("v=DKIM1; k=rsa; p=")
    der = base64.b64decode(text.partition("p=")[2])
    assert serialization.load_der_public_key(der) == key.public_key()
    strings = record_strings(text)
    assert len(strings) == 2
    assert max(map(len, strings)) <= 255
    assert "".join(strings) == text


def test_an_ed25519_record_holds_the_bare_key() -> None:
    key = new_key("ed25519")
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    text = record_text(key.public_key())
    assert len(base64.b64decode(text.removeprefix("v=DKIM1; k=ed25519; p="))) == 32


def test_a_key_of_another_kind_does_not_sign() -> None:
    with pytest.raises(KeystoreError, match="dkim create"):
        signing_key(ec.generate_private_key(ec.SECP256R1()), "x")


def test_a_key_is_told_by_its_names_alone() -> None:
    assert repr(DomainKey("a.test", "s", new_key("ed25519"))) == "DomainKey('a.test', 's')"
