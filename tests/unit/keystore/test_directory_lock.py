"""The lock on a directory: one holder at a time, released with the block."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.directory_lock import locked_directory


def test_the_directory_is_locked_within_the_block_only(tmp_path: Path) -> None:
    other = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with locked_directory(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)


def test_a_missing_directory_is_made_private(tmp_path: Path) -> None:
    with locked_directory(tmp_path / "certdb"):
        assert (tmp_path / "certdb").stat().st_mode & 0o777 == 0o700


def test_a_file_in_its_place_is_an_error_that_names_it(tmp_path: Path) -> None:
    place = tmp_path / "certdb"
    place.write_bytes(b"")
    with pytest.raises(KeystoreError, match="certdb"), locked_directory(place):
        pass
