import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailfront.directory.editing import (
    add_entry,
    enroll_key,
    remove_entry,
    remove_key,
    replace_delay,
    replace_password,
)
from mailfront.directory.enrolled_keys import enrolled_keys, key_fingerprint
from mailfront.directory.users_file import Users, parse_users
from mailfront.errors import DirectoryError
from mailfront.keystore.formats import certificate_der
from tests.support.client_certificates import client_certificate

HAND_MADE = b"""version: 1
# our people

# Alice, since 2024
dn: uid=alice
mail: alice@example.test
userPassword: {SSHA}old
# a word inside
cn: Alice
userPassword: {SSHA}older

dn: uid=bob
mail: bob@example.test
mailAlternateAddress: robert@example.test
# the end"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users.ldif"
    path.touch(0o600)
    path.write_bytes(HAND_MADE)
    return path


def users(path: Path) -> Users:
    return parse_users(path.read_bytes(), path)


def test_a_user_is_appended_and_the_rest_stays_octet_by_octet(path: Path) -> None:
    add_entry(path, "Zoë@Bücher.example", "{ARGON2}x", "Zoë Müller", ["z@example.test"])
    assert path.read_bytes().startswith(HAND_MADE + b"\n\n")
    entry = users(path).by_address["z@example.test"]
    assert entry.user == "zoë@xn--bcher-kva.example"
    assert entry.name == "Zoë Müller"
    assert entry.password_values == ("{ARGON2}x",)
    assert b"inetMailUser" in path.read_bytes()


def test_the_first_user_makes_the_file_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "users.ldif"
    add_entry(path, "alice@example.test", "{ARGON2}x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(
        b"version: 1\n\ndn: uid=alice,ou=People,dc=example,dc=test\n"
    )
    assert users(path).by_login.keys() == {"alice@example.test"}


def test_signs_that_mean_something_in_a_name_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "users.ldif"
    add_entry(path, "#a+b=c@example.test", "{ARGON2}x")
    assert b"dn: uid=\\#a\\+b\\=c,ou=People" in path.read_bytes()


@pytest.mark.parametrize("address", ["alice@example.test", "ROBERT@example.test"])
def test_an_address_in_use_is_refused_and_the_file_untouched(path: Path, address: str) -> None:
    with pytest.raises(DirectoryError, match="exists already"):
        add_entry(path, address, "{ARGON2}x")
    assert path.read_bytes() == HAND_MADE


@pytest.mark.parametrize("address", ["alice", "a b@example.test", "a@b@c", "a/b@example.test"])
def test_a_bad_address_is_refused_and_the_file_untouched(path: Path, address: str) -> None:
    with pytest.raises(DirectoryError):
        add_entry(path, address, "{ARGON2}x")
    assert path.read_bytes() == HAND_MADE


def test_a_removed_user_takes_only_their_lines_along(path: Path) -> None:
    remove_entry(path, "Alice@example.test")
    assert (
        path.read_bytes()
        == HAND_MADE[: HAND_MADE.index(b"dn: uid=alice")]
        + HAND_MADE[HAND_MADE.index(b"dn: uid=bob") :]
    )
    remove_entry(path, "bob@example.test")
    assert path.read_bytes() == b"version: 1\n# our people\n\n# Alice, since 2024\n# the end"


def test_a_user_added_and_removed_leaves_no_trace(path: Path) -> None:
    path.write_bytes(HAND_MADE + b"\n")
    add_entry(path, "carol@example.test", "{ARGON2}x")
    remove_entry(path, "carol@example.test")
    assert path.read_bytes() == HAND_MADE + b"\n"


def test_a_new_password_replaces_all_old_ones_and_nothing_else(path: Path) -> None:
    replace_password(path, "alice@example.test", "{ARGON2}new")
    assert path.read_bytes() == HAND_MADE.replace(b"userPassword: {SSHA}older\n", b"").replace(
        b"userPassword: {SSHA}old\n", b""
    ).replace(b"mail: alice@", b"userPassword: {ARGON2}new\nmail: alice@")
    replace_password(path, "bob@example.test", "{ARGON2}" + "n" * 100)
    assert users(path).by_address["bob@example.test"].password_values == ("{ARGON2}" + "n" * 100,)


def test_an_unknown_user_is_refused_with_the_nearest_one(path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"did you mean alice@example.test"):
        remove_entry(path, "alcie@example.test")
    with pytest.raises(DirectoryError, match=r"further address of bob@example.test"):
        replace_password(path, "robert@example.test", "{ARGON2}x")


def test_a_broken_file_is_not_touched(path: Path) -> None:
    path.write_bytes(HAND_MADE + b"\nnonsense\n")
    with pytest.raises(DirectoryError, match=r"users.ldif:16"):
        add_entry(path, "carol@example.test", "{ARGON2}x")
    assert path.read_bytes() == HAND_MADE + b"\nnonsense\n"


def test_two_writers_wait_for_each_other(path: Path) -> None:
    def add(number: int) -> None:
        add_entry(path, f"user{number}@example.test", "{ARGON2}x")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(users(path).entries()) == 10
    assert os.listdir(path.parent) == ["users.ldif"]


class TestKeys:
    CERTIFICATE = client_certificate("CN=Alice")
    DER = certificate_der(CERTIFICATE)
    FINGERPRINT = key_fingerprint(CERTIFICATE)

    def enroll(self, path: Path, address: str, der: bytes = DER) -> bool:
        return enroll_key(path, address, der, self.FINGERPRINT)

    @pytest.mark.parametrize("address", ["alice@example.test", "bob@example.test"])
    def test_a_key_is_enrolled_and_taken_back_without_a_trace(
        self, path: Path, address: str
    ) -> None:
        assert self.enroll(path, address)
        entry = users(path).by_address[address]
        assert entry.certificates == (self.DER,)
        assert [key.fingerprint for key in enrolled_keys(entry)] == [self.FINGERPRINT]
        assert b"# the end" in path.read_bytes()
        assert remove_key(path, address, self.FINGERPRINT) == 2
        assert path.read_bytes() == HAND_MADE
        assert remove_key(path, address, self.FINGERPRINT) == 0

    def test_a_last_line_without_an_end_gets_one(self, path: Path) -> None:
        path.write_bytes(HAND_MADE.removesuffix(b"\n# the end"))
        assert self.enroll(path, "bob@example.test")
        assert users(path).by_address["robert@example.test"].certificates == (self.DER,)

    def test_a_key_is_enrolled_once_and_a_renewed_certificate_joins_it(self, path: Path) -> None:
        assert self.enroll(path, "alice@example.test")
        before = path.read_bytes()
        assert not self.enroll(path, "alice@example.test")
        assert path.read_bytes() == before
        renewed = certificate_der(client_certificate("CN=Alice"))
        assert self.enroll(path, "alice@example.test", renewed)
        entry = users(path).by_address["alice@example.test"]
        assert entry.certificates == (self.DER, renewed)
        assert len(enrolled_keys(entry)) == 1
        assert remove_key(path, "alice@example.test", self.FINGERPRINT) == 3

    def test_a_key_of_somebody_else_is_refused(self, path: Path) -> None:
        assert self.enroll(path, "alice@example.test")
        before = path.read_bytes()
        with pytest.raises(DirectoryError, match=r"enrolled for alice@example\.test"):
            self.enroll(path, "bob@example.test")
        assert path.read_bytes() == before

    def test_a_user_who_is_not_there_gets_no_key(self, path: Path) -> None:
        with pytest.raises(DirectoryError, match="there is no user"):
            self.enroll(path, "carol@example.test")
        with pytest.raises(DirectoryError, match="there is no user"):
            remove_key(path, "carol@example.test", self.FINGERPRINT)


def test_a_hold_is_one_line_and_goes_without_a_trace(path: Path) -> None:
    until = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)
    assert replace_delay(path, "alice@example.test", until)
    added = b"dn: uid=alice\nmailFrontDelayUntil: 20261124183000Z\nmail:"
    assert path.read_bytes() == HAND_MADE.replace(b"dn: uid=alice\nmail:", added)
    assert users(path).by_address["alice@example.test"].held_until == until
    assert not replace_delay(path, "alice@example.test", until)
    assert replace_delay(path, "alice@example.test", until.replace(year=2027))
    assert path.read_bytes().count(b"mailFrontDelayUntil") == 1
    assert replace_delay(path, "alice@example.test", None)
    assert path.read_bytes() == HAND_MADE
    assert not replace_delay(path, "alice@example.test", None)
