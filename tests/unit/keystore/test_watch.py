"""The watch: sees every commit of others, and a file that was replaced."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.watch import KeystoreWatch
from tests.support.keystores import new_token, self_signed

KEY, CERTIFICATE = self_signed()


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as token:
        yield token


@pytest.fixture
def watch(token: InternalToken) -> Iterator[KeystoreWatch]:
    watch = KeystoreWatch(token.path)
    yield watch
    watch.close()


def test_nothing_has_changed_at_first_and_while_others_only_read(
    token: InternalToken, watch: KeystoreWatch
) -> None:
    assert not watch.changed()
    token.list()
    assert not watch.changed()


def test_every_change_is_seen_once(token: InternalToken, watch: KeystoreWatch) -> None:
    token.add_key_and_certificate("imap-cert", KEY, [CERTIFICATE])
    assert watch.changed()
    assert not watch.changed()
    token.remove("imap-cert")
    assert watch.changed()
    assert not watch.changed()


def test_a_commit_of_another_process_is_seen(token: InternalToken, watch: KeystoreWatch) -> None:
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('UPDATE data_key SET id = 1'); c.commit()"
    )
    subprocess.run([sys.executable, "-c", program, str(token.path)], check=True, timeout=30)
    assert watch.changed()
    assert not watch.changed()


def test_a_replaced_file_is_seen(
    token: InternalToken, watch: KeystoreWatch, tmp_path: Path
) -> None:
    with new_token(tmp_path / "new") as other:
        other.add_key_and_certificate("imap-cert", KEY, [CERTIFICATE])
    token.close()
    other.path.replace(token.path)
    assert watch.changed()
    assert not watch.changed()


def test_a_missing_file_counts_as_unchanged_until_it_is_back(
    token: InternalToken, watch: KeystoreWatch, tmp_path: Path
) -> None:
    token.close()
    away = token.path.rename(tmp_path / "away.sqlite")
    assert not watch.changed()
    assert not watch.changed()
    away.rename(token.path)
    assert watch.changed()
    assert not watch.changed()


def test_a_watch_may_begin_before_the_database_exists(tmp_path: Path) -> None:
    watch = KeystoreWatch(tmp_path / "certdb" / "keystore.sqlite")
    assert not watch.changed()
    with new_token(tmp_path):
        assert watch.changed()
        assert not watch.changed()
    watch.close()
