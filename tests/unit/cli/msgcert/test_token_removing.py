"""Certificates and keys taken from a token by msgcert."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.pkcs11.token_records import TokenContents
from mailfront.keystore.requests import KeyKind
from tests.support.issuing import certificate_pem_file
from tests.support.keystores import certificate_for, self_signed

Captured = pytest.CaptureFixture[str]
TOKEN = "HSM One"
KEY, CERTIFICATE = self_signed()


def run(root: ServerRoot, *arguments: object) -> int:
    return main(["--home", str(root.path), *map(str, arguments)])


def contents(root: ServerRoot) -> TokenContents:
    with open_external_token(root, TOKEN) as token:
        return token.contents()


@pytest.fixture
def root(token_root: ServerRoot) -> ServerRoot:
    with open_external_token(token_root, TOKEN, read_write=True) as token:
        token.store_certificate("imap", [CERTIFICATE], token.import_private_key("imap", KEY))
    return token_root


def test_a_certificate_goes_with_its_key(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "remove-cert", f"{TOKEN}:imap") == 1
    assert "add --yes" in capsys.readouterr().err
    assert run(root, "remove-cert", "--yes", f"{TOKEN}:imap") == 0
    assert "removed the certificate HSM One:imap and its private key" in capsys.readouterr().err
    left = contents(root)
    assert left.keys == ()
    assert left.certificates == ()


def test_a_waiting_key_can_go(root: ServerRoot, capsys: Captured) -> None:
    with open_external_token(root, TOKEN, read_write=True) as token:
        token.generate_key_pair("waits", KeyKind("ec"))
    assert run(root, "remove-cert", "--yes", f"{TOKEN}:waits") == 0
    assert "removed the key HSM One:waits, of which there is no copy" in capsys.readouterr().err
    assert len(contents(root).keys) == 1


def test_a_key_that_another_certificate_has_stays(root: ServerRoot, capsys: Captured) -> None:
    with open_external_token(root, TOKEN, read_write=True) as token:
        token.store_certificate("renewed", [certificate_for(KEY)], token.require("imap").key)
    assert run(root, "remove-cert", "--yes", f"{TOKEN}:imap") == 0
    assert "the key stays" in capsys.readouterr().err
    assert len(contents(root).keys) == 1


def test_a_key_whose_certificate_is_in_the_database_stays(
    token_root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    with open_external_token(token_root, TOKEN, read_write=True) as token:
        token.import_private_key("key", KEY)
    file = certificate_pem_file(tmp_path / "c.pem", [CERTIFICATE])
    assert run(token_root, "add-cert", "imap-cert", file) == 0
    assert run(token_root, "remove-cert", "--yes", f"{TOKEN}:key") == 1
    assert "private key of 'imap-cert' in the certificate database" in capsys.readouterr().err
    assert run(token_root, "remove-cert", "--yes", "--force", f"{TOKEN}:key") == 0
    assert contents(token_root).keys == ()


def test_a_certificate_that_a_service_presents_stays(root: ServerRoot, capsys: Captured) -> None:
    root.msg_conf.write_text("local.imap.sslnicknames = HSM One:imap\n")
    assert run(root, "remove-cert", "--yes", f"{TOKEN}:imap") == 1
    assert "is in use by imap" in capsys.readouterr().err


def test_an_unknown_nickname_is_told(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "remove-cert", "--yes", f"{TOKEN}:imqp") == 1
    assert "did you mean imap" in capsys.readouterr().err
