"""Nicknames and personalities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.keystore.nicknames import (
    INTERNAL_TOKEN,
    QualifiedNickname,
    check_nickname,
    nickname_from,
    parse_personality,
    unknown_nickname,
)


def test_an_unqualified_nickname_is_in_the_internal_token() -> None:
    assert parse_personality("Server-Cert") == (QualifiedNickname(INTERNAL_TOKEN, "Server-Cert"),)


def test_a_personality_lists_nicknames_of_several_tokens_in_order() -> None:
    assert parse_personality("HSM One:imap-ec, imap-rsa") == (
        QualifiedNickname("HSM One", "imap-ec"),
        QualifiedNickname(INTERNAL_TOKEN, "imap-rsa"),
    )


@pytest.mark.parametrize("token", ["internal", "Internal", INTERNAL_TOKEN])
def test_the_internal_token_has_a_long_and_a_short_name(token: str) -> None:
    (qualified,) = parse_personality(f"{token}:imap-cert")
    assert qualified.is_internal
    assert str(qualified) == "imap-cert"


def test_a_qualified_nickname_prints_as_it_is_written() -> None:
    assert str(QualifiedNickname("HSM One", "imap-ec")) == "HSM One:imap-ec"


@pytest.mark.parametrize("text", ["", " ", "a,", ",a", ":a", "a:", "a:b:c", "a,a", "internal:a,a"])
def test_a_malformed_personality_is_refused(text: str) -> None:
    with pytest.raises(KeystoreError):
        parse_personality(text)


@given(st.text(max_size=60))
def test_any_text_is_a_personality_or_a_keystore_error(text: str) -> None:
    try:
        personality = parse_personality(text)
    except KeystoreError:
        return
    assert parse_personality(", ".join(map(str, personality))) == personality


@pytest.mark.parametrize("nickname", ["", " a", "a ", "a,b", "a:b", "a\nb", "a\x1b[31m", "n" * 256])
def test_what_no_option_could_name_cannot_be_a_nickname(nickname: str) -> None:
    with pytest.raises(KeystoreError):
        check_nickname(nickname)


@pytest.mark.parametrize("nickname", ["Server-Cert", "imap cert (2026)", "Zürich", "n" * 255])
def test_ordinary_names_are_nicknames(nickname: str) -> None:
    check_nickname(nickname)


def test_an_unknown_nickname_is_answered_with_the_nearest_ones() -> None:
    known = ["imap-cert", "pop-cert", "Server-Cert"]
    assert "did you mean imap-cert" in str(unknown_nickname("imap-crt", known))
    assert "Server-Cert" in str(unknown_nickname("server-cert", known))


def test_an_unknown_nickname_like_no_other_points_to_the_list() -> None:
    assert "list-certs" in str(unknown_nickname("zzz", ["imap-cert"]))


def test_an_empty_database_says_how_to_fill_it() -> None:
    assert "add-selfsign-cert" in str(unknown_nickname("imap-cert", []))


@pytest.mark.parametrize(
    ("name", "nickname"),
    [
        ("Server-Cert", "Server-Cert"),
        ("Example CA - Example, Inc", "Example CA - Example- Inc"),
        ("NSS Certificate DB:mail", "NSS Certificate DB-mail"),
        ("  two \t words\n", "two words"),
        ("\x00\x1b", ""),
        ("", ""),
        ("x" * 300, "x" * 255),
    ],
)
def test_the_nickname_nearest_to_another_programs_name(name: str, nickname: str) -> None:
    assert nickname_from(name) == nickname


@given(st.text())
def test_what_is_made_of_any_name_can_be_a_nickname(name: str) -> None:
    if nickname := nickname_from(name):
        check_nickname(nickname)
