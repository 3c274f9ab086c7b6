"""NSS databases: what is no such database is told; the rest is in the interoperability tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.nssdb import read_nss_database, upgrade_command, without_token_name
from tests.support.peers import require_program


def directory_with(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_bytes(b"no database at all" * 100)
    return path


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "there is no NSS database"),
        (("cert9.db",), "no key4.db"),
        (("cert8.db", "key3.db"), "certutil --upgrade-merge"),
    ],
)
def test_directories_without_a_database_are_told(
    tmp_path: Path, names: tuple[str, ...], told: str
) -> None:
    with pytest.raises(KeystoreError, match=told):
        read_nss_database(directory_with(tmp_path / "nss", *names), None)


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="no such directory"):
        read_nss_database(tmp_path / "nowhere", None)


def test_files_that_are_no_databases_are_told(tmp_path: Path) -> None:
    require_program("certutil", "libnss3-tools")
    with pytest.raises(KeystoreError, match=r"cert9\.db: this is not an NSS database"):
        read_nss_database(directory_with(tmp_path / "nss", "cert9.db", "key4.db"), None)


def test_missing_tools_are_named_with_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KeystoreError, match=r"certutil is not installed.*libnss3-tools"):
        read_nss_database(directory_with(tmp_path / "nss", "cert9.db", "key4.db"), None)


def test_the_upgrade_is_quoted_for_the_shell() -> None:
    assert "--source-dir '/old server/config'" in upgrade_command(Path("/old server/config"))


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("netscape!", "netscape!"),
        ("Internal (Software) Token:netscape!", "netscape!"),
        ("NSS Certificate DB:a:b", "a:b"),
    ],
)
def test_a_line_of_the_originals_password_file_is_its_password(line: str, password: str) -> None:
    assert without_token_name(Secret(line)).reveal() == password
