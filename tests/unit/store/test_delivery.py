from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailfront.store import delivery
from mailfront.store.delivery import deliver_to_all
from mailfront.store.maildir import Maildir

MESSAGE = [b"Subject: hello\r\n\r\n", b"x" * 300_000, b"\r\n"]
WHOLE = b"".join(MESSAGE)


@pytest.fixture
def maildirs(tmp_path: Path) -> list[Maildir]:
    maildirs = [Maildir(tmp_path / name) for name in ("one", "two", "three")]
    for maildir in maildirs:
        maildir.create()
    return maildirs


def visible(maildir: Maildir) -> list[Path]:
    return [*maildir.new.iterdir(), *maildir.cur.iterdir()]


def test_every_recipient_gets_the_message_and_tmp_is_empty(maildirs: list[Maildir]) -> None:
    deliver_to_all(maildirs, MESSAGE, 5000)
    for maildir in maildirs:
        (path,) = visible(maildir)
        assert path.read_bytes() == WHOLE
        assert path.name.endswith(f",S={len(WHOLE)},W={len(WHOLE)}")
        assert path.stat().st_mtime == 5000
        assert list(maildir.tmp.iterdir()) == []


def test_several_recipients_share_one_file(maildirs: list[Maildir]) -> None:
    deliver_to_all(maildirs, MESSAGE)
    assert len({visible(maildir)[0].stat().st_ino for maildir in maildirs}) == 1


def test_file_and_directories_are_synced_before_the_return(
    maildirs: list[Maildir], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).as_posix())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    deliver_to_all(maildirs, MESSAGE)
    assert synced[0].startswith(maildirs[0].tmp.as_posix())
    assert synced[1:] == [maildir.new.as_posix() for maildir in maildirs]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_when_one_recipient_fails_it_is_taken_back_from_all(
    maildirs: list[Maildir], monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    calls = 0

    def sync(directory: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            # A session has already taken it in.
            for path in maildirs[0].new.iterdir():
                path.rename(maildirs[0].cur / f"{path.name}:2,")
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(delivery, "sync_directory", sync)
    with pytest.raises(OSError, match="Input/output"):
        deliver_to_all(maildirs, MESSAGE)
    for maildir in maildirs:
        assert visible(maildir) == []
        assert list(maildir.tmp.iterdir()) == []


def test_a_missing_recipient_directory_leaves_nothing_anywhere(maildirs: list[Maildir]) -> None:
    maildirs[2].tmp.rmdir()
    with pytest.raises(OSError, match="No such file"):
        deliver_to_all(maildirs, MESSAGE)
    for maildir in maildirs:
        assert visible(maildir) == []
    assert list(maildirs[0].tmp.iterdir()) == []
