"""What is on tokens, listed and shown by msgcert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.requests import KeyKind
from tests.support.issuing import Issuer
from tests.support.keystores import PASSWORD, self_signed

Captured = pytest.CaptureFixture[str]
TOKEN = "HSM One"
ISSUED = Issuer().issue("mail.example.test", days=20)


def run(root: ServerRoot, *arguments: object) -> int:
    return main(["--home", str(root.path), *map(str, arguments)])


@pytest.fixture
def root(token_root: ServerRoot) -> ServerRoot:
    """A token with a certificate, its issuer and a waiting key; one certificate in the database."""
    key, certificate = self_signed("internal.example.test")
    with InternalToken.open(token_root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-internal", key, [certificate])
    with open_external_token(token_root, TOKEN, read_write=True) as external:
        stored = external.import_private_key("imap", ISSUED.key)
        external.store_certificate("imap", ISSUED.chain, stored)
        external.generate_key_pair("waits", KeyKind("ec"))
    return token_root


def test_a_token_is_listed_by_the_names_that_options_use(
    root: ServerRoot, capsys: Captured
) -> None:
    assert run(root, "list-certs", "--token", TOKEN) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Token: HSM One  (module softhsm)"
    assert [line.split("  ")[0] for line in lines[4:6]] == ["HSM One:imap", "HSM One:waits"]
    assert lines[6:] == ["1 certificate found", "1 key waits for a certificate"]


def test_the_internal_token_is_listed_as_ever(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "list-certs") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Alias ")
    assert "imap-internal" in printed
    assert "HSM" not in printed


def test_all_tokens_are_listed_one_below_the_other(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "list-certs", "--all-tokens") == 0
    printed = capsys.readouterr().out
    assert printed.index(f"Token: {INTERNAL_TOKEN}") < printed.index("imap-internal")
    assert printed.index("imap-internal") < printed.index("Token: HSM One")


def test_json_tells_the_token_of_each(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "list-certs", "--all-tokens", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["token"], one["alias"]) for one in listed] == [
        (INTERNAL_TOKEN, "imap-internal"),
        (TOKEN, "imap"),
        (TOKEN, "waits"),
    ]
    assert listed[1]["chain"] == ["CN=Example Issuing CA"]


def test_certificates_without_key_are_listed_apart(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "list-certs", "-C", "--token", TOKEN) == 0
    printed = capsys.readouterr().out
    assert "HSM One:Example Issuing CA" in printed
    assert "HSM One:imap" not in printed


def test_what_expires_on_a_token_is_told_by_the_exit_code(
    root: ServerRoot, capsys: Captured
) -> None:
    assert run(root, "list-certs", "--token", TOKEN, "--expiring", 30) == 3
    assert "waits" not in capsys.readouterr().out
    assert run(root, "list-certs", "--all-tokens", "--expiring", 30) == 3
    assert run(root, "list-certs", "--token", TOKEN, "--expiring", 5) == 0


def test_a_token_that_does_not_open_is_told_and_the_others_listed(
    root: ServerRoot, capsys: Captured
) -> None:
    write_password(root.sslpassword_conf, TOKEN, Secret("wrong1"))
    assert run(root, "list-certs", "--all-tokens") == 1
    captured = capsys.readouterr()
    assert "imap-internal" in captured.out
    assert "refuses the PIN" in captured.err


def test_a_token_is_listed_without_any_database(root: ServerRoot, capsys: Captured) -> None:
    root.certificate_database.unlink()
    assert run(root, "list-certs", "--token", TOKEN) == 0
    assert "HSM One:imap" in capsys.readouterr().out


def test_a_certificate_is_shown_with_what_protects_its_key(
    root: ServerRoot, capsys: Captured, tmp_path: Path
) -> None:
    assert run(root, "show-cert", f"{TOKEN}:imap") == 0
    printed = capsys.readouterr().out
    assert "        HSM One\n" in printed
    assert "        Private Key: sensitive\n" in printed
    assert run(root, "show-cert", "--token", TOKEN, "Example Issuing CA") == 0
    assert "Private Key: not on this token" in capsys.readouterr().out
    assert run(root, "show-cert", "--json", f"{TOKEN}:imap") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["extractable"] is False
    assert facts["id"] == facts["key_id"] != ""
    file = tmp_path / "imap.der"
    assert run(root, "show-cert", "-F", "binary", "-o", file, f"{TOKEN}:imap") == 0
    assert file.read_bytes()[:1] == b"0"
