from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import BackendError, MailboxError
from mailfront.store.folder_name import (
    account_directory,
    canonical_name,
    directory_of_name,
    name_of_directory,
)

LEVELS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/*%"),
    min_size=1,
    max_size=12,
)
NAMES = st.lists(LEVELS, min_size=1, max_size=3).map("/".join)


@given(NAMES)
def test_a_name_comes_back_from_its_directory(name: str) -> None:
    name = canonical_name(name)
    assert name_of_directory(directory_of_name(name)) == name


@given(NAMES)
def test_a_directory_never_leaves_the_maildir(name: str) -> None:
    directory = directory_of_name(canonical_name(name))
    assert "/" not in directory
    assert "\0" not in directory
    assert directory not in {".", ".."}
    assert directory == "" or directory.startswith(".")
    assert directory.count(".") == (name.count("/") + 1 if directory else 0)


@given(st.text(max_size=30))
def test_any_directory_is_a_name_or_none(directory: str) -> None:
    name = name_of_directory(directory)
    assert name is None or directory_of_name(name) == directory


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("INBOX", ""),
        ("inbox", ""),
        ("Inbox/Work", ".INBOX.Work"),
        ("Sent", ".Sent"),
        ("v1.2", ".v1&AC4-2"),
        ("..", ".&AC4ALg-"),
        ("R&D", ".R&-D"),
        ("Entwürfe", ".Entw&APw-rfe"),
        ("台北/日本語", ".&U,BTFw-.&ZeVnLIqe-"),
        ("Trash/", ".Trash"),
    ],
)
def test_names_have_the_directories_of_other_maildir_programs(name: str, directory: str) -> None:
    assert directory_of_name(canonical_name(name)) == directory


@pytest.mark.parametrize("name", ["", "/", "/a", "a//b", "a*", "50%", "a\nb", "a\0", "\ud800"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(MailboxError) as refusal:
        canonical_name(name)
    assert refusal.value.code == "CANNOT"


def test_a_name_too_long_for_the_file_system_is_refused() -> None:
    with pytest.raises(MailboxError):
        directory_of_name("x" * 255)


@pytest.mark.parametrize("directory", [".", "Sent", ".A..B", ".a&b", ".&U,", ".ü", ".&AGE-"])
def test_a_directory_in_another_spelling_is_no_mailbox(directory: str) -> None:
    assert name_of_directory(directory) is None


ADDRESS_PARTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(
    str.lower
)


@given(ADDRESS_PARTS, ADDRESS_PARTS)
def test_an_account_stays_two_levels_below_the_root(local_part: str, domain: str) -> None:
    if "@" in domain:
        return
    path = account_directory(f"{local_part}@{domain}")
    assert len(path.parts) == 2
    for part in path.parts:
        assert part.isascii()
        assert not part.startswith(".")
        assert "/" not in part


@given(ADDRESS_PARTS, ADDRESS_PARTS)
def test_two_users_never_share_a_directory(one: str, other: str) -> None:
    same = account_directory(f"{one}@d") == account_directory(f"{other}@d")
    assert same == (one == other)


@pytest.mark.parametrize("user", ["", "alice", "@example.test", "alice@", "a" * 300 + "@b"])
def test_what_is_no_address_has_no_directory(user: str) -> None:
    with pytest.raises(BackendError):
        account_directory(user)


def test_traversal_in_an_address_is_quoted() -> None:
    assert account_directory("../../etc@..").as_posix() == "%2E./%2E.%2F..%2Fetc"
