"""The files beside the certificate database belong to whom that belongs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.keystore.pkcs11.state_files import locked_state, state_directory, write_state


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path)
    root.certdb_directory.mkdir(mode=0o700)
    return root


def test_only_the_owner_sees_them(root: ServerRoot) -> None:
    with locked_state(root):
        write_state(state_directory(root) / "file", b"content")
    assert state_directory(root).stat().st_mode & 0o7777 == 0o700
    assert (state_directory(root) / "file").stat().st_mode & 0o7777 == 0o600
    assert (state_directory(root) / "file").read_bytes() == b"content"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_belongs_to_the_owner_of_the_database(root: ServerRoot) -> None:
    os.chown(root.certdb_directory, 12345, 12345)
    with locked_state(root):
        write_state(state_directory(root) / "file", b"")
        write_state(state_directory(root) / "file", b"again")
    for path in (state_directory(root), state_directory(root) / "file"):
        assert path.stat().st_uid == path.stat().st_gid == 12345


def test_a_place_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "certdb").write_text("a file")
    with pytest.raises(TokenError, match="cannot be made"), locked_state(ServerRoot(tmp_path)):
        pass
    with pytest.raises(TokenError, match="cannot be written"):
        write_state(tmp_path / "certdb" / "file", b"")
