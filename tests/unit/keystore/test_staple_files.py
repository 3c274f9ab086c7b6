"""OCSP responses on disk: kept, found again, forgotten; nothing else is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.keystore.ocsp import MAXIMUM_RESPONSE
from mailfront.keystore.staple_files import StapleFiles

ONE, OTHER = bytes(32), bytes(31) + b"\x01"


@pytest.fixture
def files(tmp_path: Path) -> StapleFiles:
    return StapleFiles(tmp_path / "ocsp")


def test_without_a_directory_there_is_nothing(files: StapleFiles) -> None:
    assert list(files.load()) == []
    files.forget(ONE)


def test_what_is_kept_is_found_again(files: StapleFiles, tmp_path: Path) -> None:
    files.keep(OTHER, b"other")
    files.keep(ONE, b"first")
    files.keep(ONE, b"second")
    assert list(StapleFiles(tmp_path / "ocsp").load()) == [(ONE, b"second"), (OTHER, b"other")]
    files.forget(ONE)
    assert files.fingerprints() == [OTHER]


def test_directory_and_files_are_for_their_owner_alone(files: StapleFiles, tmp_path: Path) -> None:
    files.keep(ONE, b"response")
    [file] = (tmp_path / "ocsp").iterdir()
    assert (tmp_path / "ocsp").stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


def test_files_of_other_names_and_odd_sizes_are_passed_over(
    files: StapleFiles, tmp_path: Path
) -> None:
    files.keep(ONE, b"")
    files.keep(OTHER, bytes(MAXIMUM_RESPONSE + 1))
    (tmp_path / "ocsp" / "note.txt").write_bytes(b"x")
    (tmp_path / "ocsp" / f"{'0' * 63}2.der").mkdir()
    assert list(files.load()) == []
