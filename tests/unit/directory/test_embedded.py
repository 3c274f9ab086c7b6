import logging
import os
import time
from pathlib import Path

import pytest

from mailfront.directory import embedded
from mailfront.directory.embedded import EmbeddedDirectory, add_entry
from mailfront.errors import DirectoryError

ALICE = "dn: uid=alice\nuid: al\nmail: alice@example.test\nmailAlternateAddress: sales@shop.test\n"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users.ldif"
    write(path, ALICE)
    return path


def write(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


async def test_users_log_in_by_address_or_uid(path: Path) -> None:
    directory = EmbeddedDirectory(path)
    for login in ("alice@example.test", "alice", "ALICE@Example.Test", "al", "AL@example.test"):
        entry = await directory.entry_for_login(login, "example.test")
        assert entry is not None
        assert entry.user == "alice@example.test"
    for login in ("al@shop.test", "sales@shop.test", "", "@", "a\0l", "al@"):
        assert await directory.entry_for_login(login, "example.test") is None
    assert await directory.entry_for_login("al", "") is None


async def test_mail_finds_every_address(path: Path) -> None:
    directory = EmbeddedDirectory(path)
    entry = await directory.entry_for_address("Sales@SHOP.test")
    assert entry is not None
    assert entry.user == "alice@example.test"
    assert await directory.entry_for_address("al@example.test") is None
    assert await directory.domains() == {"example.test", "shop.test"}


async def test_a_change_is_seen_after_a_second_and_not_before(path: Path, clock: Clock) -> None:
    directory = EmbeddedDirectory(path, clock=clock)
    add_entry(path, "bob@example.test", "{ARGON2}x")
    clock.now += 0.9
    assert await directory.entry_for_address("bob@example.test") is None
    clock.now += 0.2
    assert await directory.entry_for_address("bob@example.test") is not None


async def test_a_broken_version_keeps_the_old_entries_and_is_told(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    directory = EmbeddedDirectory(path, clock=clock)
    write(path, ALICE + "\nmail: nobody\n")
    for _ in range(3):
        clock.now += 2
        assert await directory.entry_for_address("alice@example.test") is not None
    assert "users.ldif:6: an entry must begin with its dn" in directory.problem
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "users.ldif:6" in errors[0].getMessage()
    write(path, ALICE)
    clock.now += 2
    assert await directory.entry_for_address("alice@example.test") is not None
    assert directory.problem == ""


async def test_a_file_that_vanishes_keeps_the_old_entries_until_it_is_back(
    path: Path, clock: Clock
) -> None:
    directory = EmbeddedDirectory(path, clock=clock)
    aside = path.with_name("aside")
    path.rename(aside)
    clock.now += 2
    assert await directory.entry_for_address("alice@example.test") is not None
    assert "No such file" in directory.problem
    aside.rename(path)
    clock.now += 2
    assert await directory.domains()
    assert directory.problem == ""


async def test_a_large_file_is_read_in_a_thread_while_the_old_entries_answer(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LARGE_FILE_OCTETS", 10)
    directory = EmbeddedDirectory(path, clock=clock)
    add_entry(path, "bob@example.test", "{ARGON2}x")
    until = time.monotonic() + 30
    while await directory.entry_for_address("bob@example.test") is None:
        clock.now += 2
        assert await directory.entry_for_address("alice@example.test") is not None
        assert time.monotonic() < until


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(DirectoryError, match="chmod 600"):
        EmbeddedDirectory(path)


def test_a_missing_file_or_something_else_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="cannot read the user directory"):
        EmbeddedDirectory(tmp_path / "none")
    with pytest.raises(DirectoryError):
        EmbeddedDirectory(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(DirectoryError, match="not a regular file"):
        EmbeddedDirectory(tmp_path / "pipe")


@pytest.mark.parametrize(
    "second",
    [
        "dn: b\nmail: ALICE@example.test\n",
        "dn: b\nmail: b@example.test\nmailAlternateAddress: sales@shop.test\n",
        "dn: b\nmail: b@example.test\nuid: al\n",
        "dn: b\nmail: al@example.test\n",
    ],
)
def test_an_address_or_login_name_of_two_users_is_refused(path: Path, second: str) -> None:
    write(path, ALICE + "\n" + second)
    with pytest.raises(DirectoryError, match=r"users.ldif:6: .* belongs already .* line 1"):
        EmbeddedDirectory(path)
