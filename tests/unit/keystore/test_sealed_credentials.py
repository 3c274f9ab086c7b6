"""A certificate's key, kept sealed as it was read."""

from __future__ import annotations

from pathlib import Path

from tests.support.keystores import certificate_for, new_token, self_signed


def test_the_credentials_are_those_of_the_reading_whatever_the_database_has_since(
    tmp_path: Path,
) -> None:
    key, before = self_signed()
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("a", key, (before,))
        sealed = token.inventory().credentials["a"]
        new_key, _ = self_signed()
        token.replace("a", (certificate_for(new_key),), new_key)
        opened = sealed.open()
    assert opened.certificate == before
    assert opened.nickname == "a"
    assert opened.passphrase not in opened.key_pem
    assert b"ENCRYPTED PRIVATE KEY" in opened.key_pem


def test_only_certificates_with_a_key_have_credentials(tmp_path: Path) -> None:
    _, authority = self_signed()
    with new_token(tmp_path) as token:
        token.add_authority("ca", authority)
        assert dict(token.inventory().credentials) == {}


def test_it_does_not_show_what_it_holds(tmp_path: Path) -> None:
    key, leaf = self_signed()
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("a", key, (leaf,))
        assert repr(token.inventory().credentials["a"]) == "SealedCredentials('a')"
