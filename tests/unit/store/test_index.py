from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mailfront.errors import BackendError, MailboxError
from mailfront.store import index as index_module
from mailfront.store.index import INDEX_FILE, FileRow, Index
from mailfront.store.message_record import CachedValues

validities = count(1000)


def open_index(path: Path) -> Index:
    return Index(path, lambda: next(validities))


def row(key: str, modseq: int = 1, keywords: str = "") -> FileRow:
    return FileRow(0, key, "S", keywords, 10, False, 5, modseq)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = open_index(tmp_path)
    yield index
    index.close()


def insert(index: Index, *keys: str) -> list[int]:
    with index.transaction():
        modseq = index.next_modseq()
        return index.insert([row(key, modseq) for key in keys])


def test_uids_are_given_in_order_and_survive_reopening(index: Index, tmp_path: Path) -> None:
    assert insert(index, "a", "b") == [1, 2]
    index.close()
    again = open_index(tmp_path)
    assert [(r.uid, r.key) for r in again.file_rows([2, 1, 7])] == [(1, "a"), (2, "b")]
    assert insert(again, "c") == [3]
    again.close()


def test_a_uid_is_not_given_again_after_its_message_was_removed(index: Index) -> None:
    insert(index, "a", "b")
    with index.transaction():
        index.remove([2], index.next_modseq())
    assert insert(index, "c") == [3]


def test_the_index_is_for_its_owner_only(index: Index, tmp_path: Path) -> None:
    assert (tmp_path / INDEX_FILE).stat().st_mode & 0o777 == 0o600


def test_a_failed_transaction_changes_nothing(index: Index) -> None:
    def fail() -> None:
        with index.transaction():
            index.insert([row("a")])
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    assert index.summaries() == []
    assert insert(index, "a") == [1]


def test_a_lost_index_has_a_larger_uid_validity(index: Index, tmp_path: Path) -> None:
    before = index.counters().uid_validity
    index.close()
    for path in tmp_path.glob(f"{INDEX_FILE}*"):
        path.unlink()
    again = open_index(tmp_path)
    assert again.counters().uid_validity > before
    again.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 300, b"SQLite format 3\0garbage"])
def test_a_damaged_index_is_put_aside_and_replaced(
    index: Index, tmp_path: Path, damage: bytes
) -> None:
    before = index.counters().uid_validity
    index.close()
    (tmp_path / INDEX_FILE).write_bytes(damage)
    again = open_index(tmp_path)
    assert again.counters().uid_validity > before
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1
    again.close()


def test_an_index_of_a_newer_version_is_not_touched(index: Index, tmp_path: Path) -> None:
    with index.transaction():
        index._connection.execute("PRAGMA user_version=99")
    index.close()
    with pytest.raises(BackendError):
        open_index(tmp_path)
    assert (tmp_path / INDEX_FILE).exists()


def test_changes_since_a_moment_are_the_rows_with_a_newer_sequence(index: Index) -> None:
    insert(index, "a", "b", "c")
    seen = index.counters().modseq
    with index.transaction():
        modseq = index.next_modseq()
        index.update_flags([("FS", "$Junk", modseq, 2)])
        index.remove([3], modseq)
    assert [(r.uid, r.letters, r.keywords) for r in index.summaries(seen)] == [(2, "FS", "$Junk")]
    assert index.expunged_since(seen) == [3]


def test_only_so_many_expunged_uids_are_remembered(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "MOST_EXPUNGED", 2)
    insert(index, *"abcdef")
    for uid in range(1, 6):
        with index.transaction():
            index.remove([uid], index.next_modseq())
    floor = index.counters().expunged_floor
    assert floor > 0
    assert index.expunged_since(floor) == [4, 5]


def test_keywords_keep_the_spelling_seen_first(index: Index) -> None:
    with index.transaction():
        assert index.known_keywords(["Label"]) == {"Label"}
        assert index.known_keywords(["LABEL", "other"]) == {"Label", "other"}
    assert index.keywords() == ("Label", "other")


def test_keywords_are_limited_in_number_and_length(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "MOST_KEYWORDS", 2)
    with index.transaction():
        index.known_keywords(["one", "two"])
    for names in (["three"], ["x" * 256]):
        with pytest.raises(MailboxError) as refusal, index.transaction():
            index.known_keywords(names)
        assert refusal.value.code == "LIMIT"
    assert index.keywords() == ("one", "two")


def test_cached_values_are_kept_field_by_field_and_go_with_the_message(index: Index) -> None:
    insert(index, "a", "b")
    with index.transaction():
        index.set_cached_values({1: CachedValues(envelope=b"E"), 9: CachedValues(envelope=b"no")})
        index.set_cached_values({1: CachedValues(body_structure=b"B")})
    assert index.cached_values([1, 2, 9]) == {1: CachedValues(b"E", b"B", None)}
    with index.transaction():
        index.remove([1], index.next_modseq())
    assert index.cached_values([1]) == {}


def test_cached_values_of_another_form_are_forgotten(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(index, "a")
    with index.transaction():
        index.set_cached_values({1: CachedValues(b"E")})
    index.close()
    monkeypatch.setattr(index_module, "CACHED_VALUES_VERSION", 2)
    again = open_index(tmp_path)
    assert again.cached_values([1]) == {}
    again.close()


def test_two_connections_see_what_the_other_committed(index: Index, tmp_path: Path) -> None:
    other = open_index(tmp_path)
    insert(index, "a")
    assert insert(other, "b") == [2]
    with index.snapshot() as counters:
        assert counters.uid_next == 3
        assert len(index.summaries()) == 2
    other.close()


def test_a_removed_file_is_noticed(index: Index, tmp_path: Path) -> None:
    assert index.is_current()
    index.make_durable()
    (tmp_path / INDEX_FILE).unlink()
    assert not index.is_current()
