"""Policies on disk: what is kept is found again, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.outgoing.mta_sts.policy import parse_policy
from mailfront.outgoing.mta_sts.policy_files import KeptPolicy, PolicyFiles

TEXT = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 100\n"


def kept(domain: str = "example.com", fetched: float = 1000.0) -> KeptPolicy:
    return KeptPolicy(domain, "id1", fetched, parse_policy(TEXT))


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    PolicyFiles(tmp_path / "sts").keep(kept())
    files = PolicyFiles(tmp_path / "sts")
    assert list(files.load(10)) == [kept()]
    assert files.find("example.com") == kept()
    assert files.find("example.org") is None
    assert kept().expires == 1100.0


def test_a_newer_policy_takes_the_place_of_the_former(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path)
    files.keep(kept())
    files.keep(kept(fetched=2000.0))
    assert list(files.load(10)) == [kept(fetched=2000.0)]


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path)
    files.keep(kept())
    files.forget("example.com")
    files.forget("example.com")
    assert list(files.load(10)) == []


def test_no_more_are_loaded_than_wanted(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path)
    for number in range(5):
        files.keep(kept(f"d{number}.example"))
    assert len(list(files.load(3))) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"domain": "example.com", "id": "x", "fetched": "now", "lines": []}',
        b'{"domain": "example.com", "id": "x", "fetched": 1, "lines": [1]}',
        b'{"domain": "example.org", "id": "x", "fetched": 1, "lines": ["version: STSv1"]}',
    ],
)
def test_a_damaged_file_is_passed_over(tmp_path: Path, content: bytes) -> None:
    files = PolicyFiles(tmp_path)
    files.keep(kept())
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert list(files.load(10)) == []
    assert files.find("example.com") is None


def test_a_file_moved_to_another_domain_counts_for_none(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path)
    files.keep(kept())
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    files.forget("example.com")
    files.keep(kept("example.org"))
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert list(files.load(10)) == []
    assert files.find("example.org") is None
