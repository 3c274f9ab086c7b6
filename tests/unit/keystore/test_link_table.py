"""The links of the certificate database are authentic, one per nickname."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.linked_files import Link
from tests.support.keystores import new_token, self_signed

IMAP = Link("imap-cert", Path("/live/fullchain.pem"), Path("/live/privkey.pem"))
POP = Link("pop-cert", Path("/live/cert.pem"), None, Path("/live/chain.pem"))


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as opened:
        for nickname in ("pop-cert", "imap-cert"):
            key, certificate = self_signed()
            opened.add_key_and_certificate(nickname, key, (certificate,))
        yield opened


def write(token: InternalToken, *links: Link) -> None:
    with token.change() as step:
        for link in links:
            step.link(link)


def alter(token: InternalToken, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(token.path)) as intruder, intruder:
        intruder.execute(statement, values)


def test_links_come_back_as_they_were_stored_by_nickname(token: InternalToken) -> None:
    write(token, POP, IMAP)
    assert token.links() == [IMAP, POP]


def test_a_path_that_is_no_utf_8_comes_back_too(token: InternalToken) -> None:
    link = Link("imap-cert", Path(os.fsdecode(b"/live/\xff.pem")))
    write(token, link)
    assert token.links() == [link]


def test_a_nickname_has_one_link_the_last(token: InternalToken) -> None:
    write(token, IMAP)
    other = Link("imap-cert", Path("/other.pem"))
    write(token, other)
    assert token.links() == [other]


def test_only_a_nickname_that_exists_can_follow_files(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="smtp-cert"):
        write(token, Link("smtp-cert", Path("/a.pem")))
    assert token.links() == []


def test_a_link_goes_alone_or_with_its_certificate(token: InternalToken) -> None:
    write(token, IMAP, POP)
    with token.change() as step:
        assert step.unlink("imap-cert") is True
        assert step.unlink("imap-cert") is False
    token.remove("pop-cert")
    assert token.links() == []
    assert token.nicknames() == ("imap-cert",)


def test_a_renewed_certificate_keeps_its_link(token: InternalToken) -> None:
    write(token, IMAP)
    key, certificate = self_signed()
    token.replace("imap-cert", [certificate], key)
    assert token.links() == [IMAP]


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE link SET certificate_file = ? WHERE nickname = 'imap-cert'", b"/tmp/evil.pem"),
        ("UPDATE link SET key_file = ? WHERE nickname = 'imap-cert'", b""),
        ("UPDATE link SET nickname = ? WHERE nickname = 'imap-cert'", "pop-cert"),
        ("UPDATE link SET tag = ?", b""),
    ],
)
def test_an_altered_link_is_not_followed(
    token: InternalToken, statement: str, value: object
) -> None:
    write(token, IMAP)
    alter(token, statement, value)
    with pytest.raises(KeystoreError, match="altered outside mailfront") as refused:
        token.links()
    assert "msgcert link" in refused.value.remedy


def test_a_link_of_another_database_is_not_followed(token: InternalToken, tmp_path: Path) -> None:
    write(token, IMAP)
    with new_token(tmp_path / "other") as other:
        key, certificate = self_signed()
        other.add_key_and_certificate("imap-cert", key, (certificate,))
        write(other, Link("imap-cert", Path("/tmp/evil.pem")))
        with closing(sqlite3.connect(other.path)) as connection:
            row = connection.execute("SELECT * FROM link").fetchone()
    alter(token, "INSERT OR REPLACE INTO link VALUES (?, ?, ?, ?, ?)", *row)
    with pytest.raises(KeystoreError, match="altered outside mailfront"):
        token.links()
