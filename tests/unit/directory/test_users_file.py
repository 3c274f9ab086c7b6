import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.directory.users_file import (
    MAXIMUM_FILE_OCTETS,
    FileStamp,
    parse_users,
    read_users_file,
)
from mailfront.errors import DirectoryError

FILE = Path("users.ldif")
BOB = b"dn: b\nuid: bobby\nmail: bob@example.test\n"
ALICE = b"dn: a\nmail: Alice@Example.test\nmailAlternateAddress: sales@shop.test\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users.ldif"
    path.touch(0o600)
    path.write_bytes(BOB)
    return path


def test_users_are_found_by_every_address_and_by_login_name() -> None:
    users = parse_users(BOB + b"\n" + ALICE, FILE)
    assert users.by_address.keys() == {"alice@example.test", "sales@shop.test", "bob@example.test"}
    assert users.by_address["sales@shop.test"] is users.by_address["alice@example.test"]
    assert users.by_login.keys() == {"alice@example.test", "bobby@example.test", "bob@example.test"}
    assert users.domains == {"example.test", "shop.test"}
    assert [entry.user for entry in users.entries()] == ["alice@example.test", "bob@example.test"]


def test_a_file_without_users_has_no_domains() -> None:
    users = parse_users(b"version: 1\n\ndn: ou=people\nobjectClass: organizationalUnit\n", FILE)
    assert users.entries() == []
    assert users.domains == frozenset()


@pytest.mark.parametrize(
    "second",
    [
        b"dn: c\nmail: bob@example.test\n",
        b"dn: c\nmail: c@example.test\nmailAlternateAddress: BOB@example.test\n",
        b"dn: c\nmail: bobby@example.test\n",
    ],
)
def test_a_name_that_two_users_claim_is_told_with_both_lines(second: bytes) -> None:
    with pytest.raises(DirectoryError, match=r"users.ldif:5: .* belongs already .* line 1"):
        parse_users(BOB + b"\n" + second, FILE)


def test_nothing_is_taken_from_a_file_with_a_fault() -> None:
    with pytest.raises(DirectoryError, match=r"users.ldif:5"):
        parse_users(BOB + b"\nnonsense\n", FILE)


@given(st.lists(st.sampled_from([BOB, ALICE, b"\n", b"mail: c@d\n", b"dn: c\n", b"uid: bobby\n"])))
def test_any_content_gives_users_or_a_directory_error(pieces: list[bytes]) -> None:
    try:
        users = parse_users(b"".join(pieces), FILE)
    except DirectoryError:
        return
    assert {entry.user for entry in users.entries()} <= users.by_address.keys()


def test_a_file_is_read_with_a_stamp_that_changes_with_it(path: Path) -> None:
    content, stamp = read_users_file(path)
    assert content == BOB
    assert stamp == FileStamp.of(path.stat())
    assert read_users_file(path) == (content, stamp)
    path.with_name("new").touch(0o600)
    path.with_name("new").write_bytes(BOB)
    path.with_name("new").replace(path)
    assert read_users_file(path)[1] != stamp


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o601])
def test_a_file_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(DirectoryError, match=r"chmod 600 .*users.ldif"):
        read_users_file(path)


def test_a_file_without_bounds_is_refused_unread(path: Path) -> None:
    os.truncate(path, MAXIMUM_FILE_OCTETS + 1)
    with pytest.raises(DirectoryError, match="too large"):
        read_users_file(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"No such file.*mailfront init makes it"):
        read_users_file(tmp_path / "none")
    with pytest.raises(DirectoryError, match="cannot read the user directory"):
        read_users_file(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(DirectoryError, match="not a regular file"):
        read_users_file(tmp_path / "pipe")
