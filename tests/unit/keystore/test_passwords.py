"""`sslpassword.conf`: what a line means, who may read it, and how it is written."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import (
    MAXIMUM_FILE,
    find_password,
    parse_password_lines,
    random_password,
    read_password,
    warning_about,
    write_password,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sslpassword.conf"


def put(file: Path, text: str, mode: int = 0o600) -> None:
    file.write_text(text)
    file.chmod(mode)


def test_the_originals_default_line_is_understood(file: Path) -> None:
    put(file, "Internal (Software) Token:netscape!\n")
    assert read_password(file, INTERNAL_TOKEN).reveal() == "netscape!"


def test_the_first_colon_splits_and_the_password_is_taken_exactly(file: Path) -> None:
    put(file, "HSM One: pin:with:colons \n")
    assert read_password(file, "HSM One").reveal() == " pin:with:colons "


def test_comments_blank_lines_and_carriage_returns_do_not_matter(file: Path) -> None:
    put(file, "# a comment: with colon\n\n   \n  # another\nToken:secret\r\nOther:b")
    assert read_password(file, "Token").reveal() == "secret"
    assert read_password(file, "Other").reveal() == "b"


def test_a_missing_line_names_what_to_add(file: Path) -> None:
    put(file, "Other:x\n")
    assert find_password(file, "HSM One") is None
    with pytest.raises(KeystoreError, match="HSM One:"):
        read_password(file, "HSM One")


def test_a_missing_file_is_told(file: Path) -> None:
    with pytest.raises(KeystoreError, match="no password file"):
        read_password(file, INTERNAL_TOKEN)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_open_to_others_is_refused_with_the_remedy(file: Path, mode: int) -> None:
    put(file, "Token:secret\n", mode)
    with pytest.raises(KeystoreError, match="chmod 600"):
        read_password(file, "Token")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("no colon, but secret", "no token name"),
        (":secret", "no token name"),
        ("  :secret", "no token name"),
        ("Token:", "no password"),
        ("To\x07ken:secret", "no token name and password"),
        ("Token:secret" + "x" * 2000, "no token name and password"),
        ("First:secret", "a second line"),
    ],
)
def test_a_malformed_line_is_named_by_number_and_never_quoted(
    file: Path, line: str, fault: str
) -> None:
    put(file, f"First:one\n{line}\n")
    with pytest.raises(KeystoreError, match=f"sslpassword.conf:2: .*{fault}") as refusal:
        read_password(file, "Token")
    assert "secret" not in str(refusal.value)


def test_an_oversized_file_is_refused(file: Path) -> None:
    put(file, "#" * (MAXIMUM_FILE + 1))
    with pytest.raises(KeystoreError, match="larger"):
        read_password(file, "Token")


@given(st.binary(max_size=200))
def test_any_content_is_entries_or_a_keystore_error(content: bytes) -> None:
    try:
        entries = parse_password_lines(content, Path("sslpassword.conf"))
    except KeystoreError:
        return
    assert len({entry.token_name for entry in entries}) == len(entries)


def test_a_written_line_is_read_back_and_the_file_is_private(file: Path) -> None:
    write_password(file, INTERNAL_TOKEN, Secret("p:w "))
    assert read_password(file, INTERNAL_TOKEN).reveal() == "p:w "
    assert file.stat().st_mode & 0o777 == 0o600


def test_writing_a_line_keeps_the_others_and_the_comments(file: Path) -> None:
    put(file, "# mine\n\nHSM One:pin\nInternal (Software) Token:old\n# end\n")
    write_password(file, INTERNAL_TOKEN, Secret("new"))
    write_password(file, "HSM Two", Secret("two"))
    assert file.read_text() == (
        "# mine\n\nHSM One:pin\nInternal (Software) Token:new\n# end\nHSM Two:two\n"
    )


def test_a_file_without_final_line_end_keeps_its_last_line(file: Path) -> None:
    put(file, "HSM One:pin")
    write_password(file, "HSM Two", Secret("two"))
    assert file.read_text() == "HSM One:pin\nHSM Two:two\n"


@pytest.mark.parametrize(
    ("name", "password"),
    [("", "x"), ("a:b", "x"), ("a\nb", "x"), ("a", ""), ("a", "x\ny"), ("a", "x" * 2000)],
)
def test_what_cannot_stand_on_a_line_is_not_written(file: Path, name: str, password: str) -> None:
    with pytest.raises(KeystoreError):
        write_password(file, name, Secret(password))
    assert not file.exists()


def test_two_writers_at_once_lose_no_line(file: Path) -> None:
    def write(number: int) -> None:
        write_password(file, f"Token {number}", Secret("x"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parse_password_lines(file.read_bytes(), file)) == 8


def test_the_well_known_default_is_warned_about_and_others_are_not() -> None:
    assert "well-known" in warning_about(Secret("netscape!"))
    assert warning_about(random_password()) == ""


def test_random_passwords_are_long_differ_and_fit_on_a_line(file: Path) -> None:
    first, second = random_password(), random_password()
    assert first != second
    assert len(first.reveal()) >= 32
    write_password(file, "Token", first)
    assert read_password(file, "Token") == first


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(file: Path) -> None:
    put(file, "Token:secret\n", 0o200)
    with pytest.raises(KeystoreError, match="Permission denied"):
        read_password(file, "Token")
