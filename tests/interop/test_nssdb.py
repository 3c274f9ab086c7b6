"""`import-nssdb` on databases that NSS's own tools made."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import private_key_public_der
from mailfront.keystore.internal_token import InternalToken
from tests.support.keystores import PASSWORD, root_with_keystore
from tests.support.nss import NssDatabase
from tests.support.server import run_command


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> NssDatabase:
    """Keys of several kinds, a CA trusted for both, one for servers, and one distrusted."""
    database = NssDatabase(tmp_path_factory.mktemp("nss") / "config")
    database.authority("Example CA - Example, Inc", trust="CT,C,C")
    database.issued("imap-cert", "Example CA - Example, Inc", key_type="rsa")
    database.issued("smtp-cert", "Example CA - Example, Inc", key_type="ec")
    database.self_signed("Server-Cert", key_type="rsa")
    other = NssDatabase(tmp_path_factory.mktemp("nss") / "other")
    for nickname, trust in (("Servers", "C,,"), ("Clients", "T,,"), ("Distrusted", "p,p,p")):
        other.self_signed(nickname, key_type="ec")
        exported = other.directory.with_name("exported.pem")
        exported.write_text(other.certutil("-L", "-a", "-n", nickname))
        database.certutil("-A", "-n", nickname, "-t", trust, "-i", exported)
    return database


@contextmanager
def opened(root: ServerRoot) -> Iterator[InternalToken]:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        yield token


def import_nssdb(root: ServerRoot, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_command("msgcert", "--home", str(root.path), "import-nssdb", *map(str, arguments))


def test_keys_certificates_and_trust_arrive(root: ServerRoot, database: NssDatabase) -> None:
    before = {path: path.read_bytes() for path in database.directory.iterdir()}
    done = import_nssdb(root, "--nss-pwd-file", database.password_file, database.directory)
    assert done.returncode == 0, done.stderr
    with opened(root) as token:
        trust = {record.nickname: record.trust.letters for record in token.list()}
        assert trust == {
            "Clients": "T",
            "Example CA - Example- Inc": "CTu",
            "Server-Cert": "u",
            "Servers": "C",
            "imap-cert": "u",
            "smtp-cert": "u",
        }
        assert token.require("imap-cert").key_type == "rsa"
        assert token.require("smtp-cert").key_type == "ec"
        for nickname in ("imap-cert", "smtp-cert", "Server-Cert"):
            public = token.require(nickname).certificate.public_key()
            assert token.private_key(nickname).public_key() == public
            assert private_key_public_der(token.private_key(nickname))
    assert "left out Distrusted" in done.stderr
    assert {path: path.read_bytes() for path in database.directory.iterdir()} == before


def test_the_certificates_issuer_is_found_among_the_cas_of_the_database(
    root: ServerRoot, database: NssDatabase
) -> None:
    done = import_nssdb(root, "--nss-pwd-file", database.password_file, database.directory)
    assert "chain is incomplete" not in done.stderr


def test_the_originals_password_file_serves_as_it_is(
    root: ServerRoot, database: NssDatabase, tmp_path: Path
) -> None:
    line = tmp_path / "sslpassword.conf"
    line.touch(mode=0o600)
    line.write_text("Internal (Software) Token:netscape!\n")
    done = import_nssdb(root, "--nss-pwd-file", line, database.directory)
    assert done.returncode == 0, done.stderr


def test_a_wrong_password_is_one_line_and_nothing_is_imported(
    root: ServerRoot, database: NssDatabase, tmp_path: Path
) -> None:
    wrong = tmp_path / "pw"
    wrong.touch(mode=0o600)
    wrong.write_text("a guess\n")
    done = import_nssdb(root, "--nss-pwd-file", wrong, database.directory)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the password does not open the NSS database" in done.stderr
    with opened(root) as token:
        assert token.list() == []


def test_a_database_without_password_needs_none(root: ServerRoot, tmp_path: Path) -> None:
    database = NssDatabase(tmp_path / "firefox", password=Secret(""))
    database.self_signed("mine", key_type="ec")
    done = import_nssdb(root, database.directory)
    assert done.returncode == 0, done.stderr
    with opened(root) as token:
        assert token.private_key("mine")


def test_several_keys_under_one_nickname_all_arrive(root: ServerRoot, tmp_path: Path) -> None:
    database = NssDatabase(tmp_path / "nss")
    for _ in range(2):
        database.self_signed("mail", key_type="ec")
    done = import_nssdb(root, "--nss-pwd-file", database.password_file, database.directory)
    assert done.returncode == 0, done.stderr
    with opened(root) as token:
        assert [record.nickname for record in token.list()] == ["mail", "mail 2"]


def test_the_command_that_is_printed_upgrades_an_old_database(
    root: ServerRoot, tmp_path: Path
) -> None:
    try:
        old = NssDatabase(tmp_path / "old", form="dbm")
    except AssertionError:
        pytest.skip("this NSS cannot make databases of the old form")
    old.self_signed("Server-Cert", key_type="rsa", trust="CTu,u,u")
    told = import_nssdb(root, old.directory)
    assert told.returncode == 1
    found = re.search(r"mkdir .*--upgrade-token-name old", told.stderr)
    assert found is not None, told.stderr
    new = tmp_path / "old-cert9"
    for command in found[0].split(" && "):
        arguments = shlex.split(command)
        if arguments[0] == "certutil":
            arguments += ["-f", str(old.password_file)]
        if "--upgrade-merge" in arguments:
            arguments += ["-@", str(old.password_file)]
        subprocess.run(arguments, check=True, timeout=60, stdin=subprocess.DEVNULL)
    done = import_nssdb(root, "--nss-pwd-file", old.password_file, new)
    assert done.returncode == 0, done.stderr
    with opened(root) as token:
        assert token.private_key("Server-Cert")
