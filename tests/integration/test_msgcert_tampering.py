"""Whoever writes the database file gains nothing: what was altered is found and never served."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests, sealing
from mailfront.keystore.formats import private_key_public_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.verification import verify
from tests.support.keystores import (
    PASSWORD,
    authority,
    issued_by,
    password_file,
    root_with_keystore,
)

SEED = 20260502
FLIPS_IN_THE_FILE = 400
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")
COLUMNS = ("nickname", "trust", "public_key", "certificate", "chain", "sealed_key", "tag")


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", KEY, [LEAF, CA])
        token.add_authority("Example CA", CA, "C")
        token.add_pending_key("waiting", requests.KeyKind().generate())
    return root


def stored(path: Path, nickname: str) -> dict[str, bytes]:
    """Return the columns of a row as bytes, without those that are empty."""
    named = ", ".join(f"CAST({column} AS BLOB)" for column in COLUMNS)
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute(f"SELECT {named} FROM entry WHERE nickname = ?", (nickname,))
        values = dict(zip(COLUMNS, row.fetchone(), strict=True))
    return {column: value for column, value in values.items() if value}


def flipped(path: Path, nickname: str) -> Iterator[str]:
    """Flip each byte of a row once, and put it back; yield what is flipped at the moment."""
    change = random.Random(SEED)
    for column, intact in stored(path, nickname).items():
        kind = "TEXT" if column in ("nickname", "trust") else "BLOB"
        statement = f"UPDATE entry SET {column} = CAST(? AS {kind}) WHERE id = ?"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            (number,) = connection.execute(
                "SELECT id FROM entry WHERE nickname = ?", (nickname,)
            ).fetchone()
            for place in range(len(intact)):
                altered = bytearray(intact)
                altered[place] ^= change.randrange(1, 256)
                connection.execute(statement, (bytes(altered), number))
                yield f"{nickname}: byte {place} of {column}"
                connection.execute(statement, (intact, number))


def test_every_flipped_byte_of_a_row_is_found_and_never_served(root: ServerRoot) -> None:
    now = datetime.now(UTC)
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        assert verify(token, now, {}) == []
        for nickname in ("imap-cert", "Example CA", "waiting"):
            for what in flipped(token.path, nickname):
                inventory = token.inventory()
                served = [record.nickname for record in inventory.records]
                assert nickname not in served, what
                assert inventory.altered or inventory.missing, what
                with suppress(KeystoreError):
                    assert token.find_entry(nickname) is None, what
                if nickname == "imap-cert":
                    with pytest.raises(KeystoreError):
                        token.credentials(nickname)
        assert verify(token, now, {}) == []


def test_verify_says_so_in_a_line_and_exits_with_1(
    root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sample of the flips of the test above, through the command itself."""
    for nickname in ("imap-cert", "Example CA", "waiting"):
        for number, what in enumerate(flipped(root.certificate_database, nickname)):
            if number % 50 == 0:
                assert main(["verify", "--home", str(root.path)]) == 1, what
                captured = capsys.readouterr()
                assert "altered" in captured.out, what
                assert "Traceback" not in captured.err


def test_no_row_of_another_database_or_of_the_past_is_served(
    root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root.certificate_database
    past = stored(path, "imap-cert")
    with InternalToken.open(path, PASSWORD) as token:
        key, renewed = issued_by(CA_KEY, CA, "imap.example.test")
        token.replace("imap-cert", [renewed, CA], key)
    with closing(sqlite3.connect(path)) as connection, connection:
        for column in ("public_key", "certificate", "chain", "sealed_key", "tag"):
            connection.execute(
                f"UPDATE entry SET {column} = ? WHERE nickname = 'imap-cert'", (past[column],)
            )
    assert main(["verify", "--home", str(root.path)]) == 1
    assert capsys.readouterr().out.startswith("imap-cert: the entry was altered")


def test_no_flipped_byte_of_the_file_makes_anything_else_be_served(
    root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root.certificate_database
    intact = path.read_bytes()
    change = random.Random(SEED)
    exits = set()
    for place in change.sample(range(len(intact)), FLIPS_IN_THE_FILE):
        altered = bytearray(intact)
        altered[place] ^= change.randrange(1, 256)
        for leftover in path.parent.iterdir():
            leftover.unlink()
        path.write_bytes(altered)
        path.chmod(0o600)
        status = main(["verify", "--home", str(root.path)])
        exits.add(status)
        assert status in (0, 1)
        assert "Traceback" not in capsys.readouterr().err
        with suppress(KeystoreError), InternalToken.open(path, PASSWORD) as token:
            check_only_what_was_stored_is_served(token)
    assert exits == {0, 1}


def check_only_what_was_stored_is_served(token: InternalToken) -> None:
    expected = {"imap-cert": (LEAF, "u"), "Example CA": (CA, "C")}
    for record in token.inventory().records:
        assert (record.certificate, record.trust.letters) == expected[record.nickname]
    with suppress(KeystoreError):
        key = token.private_key("imap-cert")
        assert private_key_public_der(key) == private_key_public_der(KEY)


def test_a_wrong_password_is_one_line_after_one_derivation(
    root: ServerRoot,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    derivations = []
    original = sealing.derive

    def counted(password: Secret, salt: bytes, cost: sealing.DerivationCost) -> bytes:
        derivations.append(cost)
        return original(password, salt, cost)

    monkeypatch.setattr(sealing, "derive", counted)
    wrong = password_file(tmp_path / "wrong", Secret("a guess"))
    assert main(["verify", "-W", wrong, "--home", str(root.path)]) == 1
    assert len(derivations) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "the password does not open the certificate database" in error
    assert "a guess" not in error
