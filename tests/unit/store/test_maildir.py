from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.store.maildir import (
    Maildir,
    Measure,
    arrival_order,
    link_or_copy,
    measure_by_name,
    measure_by_reading,
    split_name,
    unique_name,
)


@pytest.fixture
def maildir(tmp_path: Path) -> Maildir:
    maildir = Maildir(tmp_path / "Maildir")
    maildir.create()
    return maildir


def test_a_maildir_is_private(maildir: Maildir) -> None:
    for directory in (maildir.path, maildir.new, maildir.cur, maildir.tmp):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_unique_names_differ_and_are_valid_file_names() -> None:
    names = {unique_name() for _ in range(1000)}
    assert len(names) == 1000
    assert not any(set(name) & {"/", ":"} for name in names)


def test_unique_names_tell_the_order_of_arrival() -> None:
    names = [unique_name() for _ in range(50)]
    assert sorted(names, key=lambda name: arrival_order(name, 0)) == names


def test_a_name_without_a_moment_sorts_by_the_date_of_the_file() -> None:
    assert arrival_order("letter", 77) < arrival_order("78.x", 0) < arrival_order("letter", 79)


def test_a_spooled_message_carries_its_size_and_date(maildir: Maildir) -> None:
    spooled = maildir.spool([b"ab", b"c\r\n"])
    assert spooled.size == 5
    assert spooled.key.endswith(",S=5,W=5")
    assert spooled.finish(12345) == 12345
    assert spooled.path.read_bytes() == b"abc\r\n"
    assert int(spooled.path.stat().st_mtime) == 12345
    assert spooled.path.stat().st_mode & 0o777 == 0o600
    spooled.discard()
    assert list(maildir.tmp.iterdir()) == []


def test_a_source_that_fails_leaves_nothing(maildir: Maildir) -> None:
    def chunks() -> object:
        yield b"half"
        raise ConnectionError("the sender went away")

    with pytest.raises(ConnectionError):
        maildir.spool(chunks())  # type: ignore[arg-type]
    assert list(maildir.tmp.iterdir()) == []


def test_the_flags_part_of_a_name_is_split_off() -> None:
    assert split_name("1.x,S=3:2,FS") == ("1.x,S=3", "FS")
    assert split_name("1.x:2,") == ("1.x", "")
    assert split_name("1.x") == ("1.x", None)


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("1.x,S=6,W=6", Measure(6, False, 50)),
        ("1.x,S=6,W=8", Measure(8, True, 50)),
        ("1.x,S=7,W=7", None),
        ("1.x,S=6", None),
        ("1.x", None),
    ],
)
def test_sizes_in_a_name_count_only_if_the_file_confirms_them(
    tmp_path: Path, name: str, measure: Measure | None
) -> None:
    path = tmp_path / name
    path.write_bytes(b"a\nb\nc\n")
    os.utime(path, (50, 50))
    assert measure_by_name(path, name) == measure


@given(st.lists(st.sampled_from([b"\r", b"\n", b"x"]), max_size=40).map(b"".join))
def test_a_file_is_measured_as_it_will_be_served(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "measured"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mailfront.store.maildir.CHUNK", 3)
        measure = measure_by_reading(path)
    converted = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert measure.size == len(converted)
    assert measure.bare_lf == (converted != data)


def test_only_visible_regular_files_are_messages(maildir: Maildir) -> None:
    (maildir.cur / "1.x:2,").write_bytes(b"")
    (maildir.cur / ".hidden").write_bytes(b"")
    (maildir.cur / "directory").mkdir()
    (maildir.cur / "link").symlink_to("/etc/passwd")
    assert maildir.names_in(maildir.cur) == ["1.x:2,"]


def test_abandoned_files_are_forgotten_after_a_day_and_a_half(maildir: Maildir) -> None:
    for name, age in (("old", 1000), ("young", 2_000_000_000)):
        (maildir.tmp / name).write_bytes(b"")
        os.utime(maildir.tmp / name, (age, age))
    removed = maildir.tmp / "removed.x"
    (removed / "cur").mkdir(parents=True)
    os.utime(removed, (1000, 1000))
    maildir.forget_abandoned()
    assert [path.name for path in maildir.tmp.iterdir()] == ["young"]


def test_where_links_are_impossible_the_file_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(31, "Too many links")

    (tmp_path / "one").write_bytes(b"text")
    monkeypatch.setattr(os, "link", no_links)
    link_or_copy(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == b"text"
