"""Files that only their owner may read, written whole and never over others."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailfront.cli.msgcert.private_file import (
    refuse_existing,
    write_private_file,
    write_to_output,
)
from mailfront.errors import OperatorError


def test_a_new_file_is_private_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "imap.p12"
    write_private_file(path, b"content", force=False)
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "imap.p12"
    path.write_bytes(b"precious")
    path.chmod(0o644)
    with pytest.raises(OperatorError, match="--force"):
        refuse_existing(path, force=False)
    with pytest.raises(OperatorError, match="--force"):
        write_private_file(path, b"content", force=False)
    assert path.read_bytes() == b"precious"
    refuse_existing(path, force=True)
    write_private_file(path, b"content", force=True)
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OperatorError, match="exists"):
        refuse_existing(path, force=False)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "imap.p12"
    with pytest.raises(OperatorError, match="no such directory"):
        refuse_existing(path, force=False)
    with pytest.raises(OperatorError, match="cannot be written"):
        write_private_file(path, b"content", force=False)


def test_a_terminal_gets_no_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(OperatorError, match="-o FILE"):
        write_to_output(b"\0", binary=True)
