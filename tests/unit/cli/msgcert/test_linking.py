"""`link`, `unlink` and `list-links`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.linked_files import Link
from mailfront.keystore.records import CertificateRecord
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.keystores import PASSWORD, root_with_keystore

Captured = pytest.CaptureFixture[str]
ISSUER = Issuer()
FIRST = ISSUER.issue("mail.example.test")
SECOND = ISSUER.issue("mail.example.test", key=FIRST.key)


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    chain = certificate_pem_file(tmp_path / "fullchain.pem", FIRST.chain)
    return chain, key_pem_file(tmp_path / "privkey.pem", FIRST.key)


def run(root: ServerRoot, *arguments: object) -> int:
    return main([*map(str, arguments), "--home", str(root.path)])


def stored(root: ServerRoot) -> tuple[dict[str, CertificateRecord], list[Link]]:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return {record.nickname: record for record in token.list()}, list(token.links())


def test_a_new_nickname_gets_what_the_files_hold_and_follows_them(
    root: ServerRoot, files: tuple[Path, Path], capsys: Captured
) -> None:
    chain, key = files
    assert run(root, "link", "imap-cert", "--cert", chain, "--key", key) == 0
    records, links = stored(root)
    record = records["imap-cert"]
    assert (record.certificate, *record.chain) == FIRST.chain
    assert record.has_key
    assert links == [Link("imap-cert", chain, key)]
    assert f"imap-cert follows {chain}" in capsys.readouterr().err


def test_a_present_certificate_keeps_its_key_where_no_key_file_is_named(
    root: ServerRoot, files: tuple[Path, Path]
) -> None:
    chain, key = files
    run(root, "import-cert", "imap-cert", chain, "--key", key)
    certificate_pem_file(chain, SECOND.chain)
    assert run(root, "link", "imap-cert", "--cert", chain) == 0
    records, links = stored(root)
    assert records["imap-cert"].certificate == SECOND.leaf
    assert links == [Link("imap-cert", chain)]


def test_a_pending_key_gets_its_certificate_by_a_link(
    root: ServerRoot, files: tuple[Path, Path]
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_pending_key("imap-cert", FIRST.key)
    assert run(root, "link", "imap-cert", "--cert", files[0]) == 0
    assert stored(root)[0]["imap-cert"].certificate == FIRST.leaf


def test_a_new_nickname_needs_a_key(
    root: ServerRoot, files: tuple[Path, Path], capsys: Captured
) -> None:
    assert run(root, "link", "imap-cert", "--cert", files[0]) == 1
    assert "--key FILE" in capsys.readouterr().err
    assert stored(root) == ({}, [])


def test_a_certificate_for_another_key_is_refused_and_nothing_is_linked(
    root: ServerRoot, files: tuple[Path, Path], capsys: Captured
) -> None:
    chain, key = files
    run(root, "link", "imap-cert", "--cert", chain, "--key", key)
    other = certificate_pem_file(chain.with_name("other.pem"), ISSUER.issue("a.test").chain)
    assert run(root, "link", "imap-cert", "--cert", other) == 1
    assert "not for the private key" in capsys.readouterr().err
    records, links = stored(root)
    assert records["imap-cert"].certificate == FIRST.leaf
    assert links == [Link("imap-cert", chain, key)]


def test_symbolic_links_are_kept_as_they_are_and_paths_made_absolute(
    root: ServerRoot,
    files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain, key = files
    (chain.parent / "live.pem").symlink_to(chain)
    monkeypatch.chdir(chain.parent)
    assert run(root, "link", "imap-cert", "--cert", "live.pem", "--key", key) == 0
    assert stored(root)[1] == [Link("imap-cert", chain.parent / "live.pem", key)]


def test_issuers_may_stand_apart_or_be_known_already(
    root: ServerRoot, files: tuple[Path, Path]
) -> None:
    chain, key = files
    certificate_pem_file(chain, FIRST.chain[:1])
    issuers = certificate_pem_file(chain.with_name("chain.pem"), FIRST.chain[1:])
    assert run(root, "link", "a", "--cert", chain, "--key", key, "--chain", issuers) == 0
    assert run(root, "link", "b", "--cert", chain, "--key", key) == 0
    records, _ = stored(root)
    assert records["a"].chain == records["b"].chain == FIRST.chain[1:]


def test_a_file_that_is_not_there_is_named(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "link", "imap-cert", "--cert", "/nowhere/cert.pem") == 1
    assert "/nowhere/cert.pem: cannot be read: No such file" in capsys.readouterr().err


def test_list_links_shows_nicknames_and_files(
    root: ServerRoot, files: tuple[Path, Path], capsys: Captured
) -> None:
    chain, key = files
    run(root, "link", "imap-cert", "--cert", chain, "--key", key)
    capsys.readouterr()
    assert run(root, "list-links") == 0
    assert capsys.readouterr().out.splitlines()[2].split() == [
        "imap-cert",
        str(chain),
        str(key),
        "-",
    ]
    assert run(root, "list-links", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "nickname": "imap-cert",
            "certificate_file": str(chain),
            "key_file": str(key),
            "chain_file": None,
        }
    ]


def test_unlink_leaves_the_certificate(
    root: ServerRoot, files: tuple[Path, Path], capsys: Captured
) -> None:
    chain, key = files
    run(root, "link", "imap-cert", "--cert", chain, "--key", key)
    assert run(root, "unlink", "imap-cert") == 0
    records, links = stored(root)
    assert list(records) == ["imap-cert"]
    assert links == []
    capsys.readouterr()
    assert run(root, "unlink", "imap-cert") == 1
    assert "follows no files" in capsys.readouterr().err
