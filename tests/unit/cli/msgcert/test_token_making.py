"""Keys made on a token by msgcert: requests, self-signed certificates, their renewal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.cli.msgcert import main
from mailfront.cli.msgcert.token_making import tell_protection
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.pkcs11.token_records import TokenContents
from tests.support.keystores import self_signed

Captured = pytest.CaptureFixture[str]


def run(root: ServerRoot, *arguments: object) -> int:
    return main(["--home", str(root.path), *map(str, arguments)])


def contents(root: ServerRoot) -> TokenContents:
    with open_external_token(root, "HSM One") as token:
        return token.contents()


def test_the_key_of_a_request_stays_on_the_token(
    token_root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "mail.csr"
    wanted = ("--name", "mail.example.test", "--alias", "imap", "-F", "ascii", "-o", file)
    assert run(token_root, "request-cert", "--token", "HSM One", *wanted) == 0
    request = x509.load_pem_x509_csr(file.read_bytes())
    assert request.is_signature_valid
    (key,) = contents(token_root).waiting
    assert key.public_key == request.public_key()
    told = capsys.readouterr().err
    assert "waits for its certificate as HSM One:imap" in told
    assert 'msgcert add-cert "HSM One:imap" FILE' in told


def test_a_request_that_cannot_be_written_leaves_no_key(
    token_root: ServerRoot, tmp_path: Path
) -> None:
    wanted = ("--name", "mail.example.test", "-o", tmp_path)
    assert run(token_root, "request-cert", "--token", "HSM One", "--force", *wanted) == 1
    assert contents(token_root).keys == ()


def test_ed25519_is_refused(token_root: ServerRoot, capsys: Captured) -> None:
    wanted = ("--name", "mail.example.test", "--keytype", "ed25519", "-F", "ascii")
    assert run(token_root, "request-cert", "--token", "HSM One", *wanted) == 1
    assert "use ec or rsa" in capsys.readouterr().err


def test_a_self_signed_certificate_is_made_and_renewed(
    token_root: ServerRoot, capsys: Captured
) -> None:
    names = ("--san", "mail.example.test,192.0.2.7", "--name", "mail.example.test")
    assert run(token_root, "add-selfsign-cert", "HSM One:imap", *names, "--validity", 12) == 0
    assert "made the self-signed certificate HSM One:imap (EC P-256)" in capsys.readouterr().err
    (before,) = contents(token_root).certificates
    assert run(token_root, "renew-selfsign-cert", "HSM One:imap") == 0
    assert "renewed the self-signed certificate HSM One:imap" in capsys.readouterr().err
    (after,) = contents(token_root).certificates
    assert after.key == before.key
    assert after.certificate != before.certificate
    assert after.certificate.subject == before.certificate.subject
    (lifetime, former) = (
        one.certificate.not_valid_after_utc - one.certificate.not_valid_before_utc
        for one in (after, before)
    )
    assert abs(lifetime - former).total_seconds() < 2
    assert run(token_root, "renew-selfsign-cert", "HSM One:imap", "--validity", 1) == 0


def test_key_and_certificate_are_not_renewed_together(
    token_root: ServerRoot, capsys: Captured
) -> None:
    assert run(token_root, "add-selfsign-cert", "HSM One:imap", "--name", "a.example.test") == 0
    assert run(token_root, "renew-selfsign-cert", "HSM One:imap", "--new-key") == 1
    assert "cannot be replaced at one moment" in capsys.readouterr().err


def test_a_nickname_in_use_is_refused(token_root: ServerRoot, capsys: Captured) -> None:
    for status in (0, 1):
        name = ("--name", "mail.example.test")
        assert run(token_root, "add-selfsign-cert", "HSM One:imap", *name) == status
    assert "there is a certificate HSM One:imap already" in capsys.readouterr().err
    assert len(contents(token_root).keys) == 1


def test_a_key_that_might_leave_is_warned_of(token_root: ServerRoot, capsys: Captured) -> None:
    key, _ = self_signed()
    with open_external_token(token_root, "HSM One", read_write=True) as token:
        made = token.import_private_key("imap", key)
    tell_protection(made)
    assert "WARNING" not in capsys.readouterr().err
    assert run(token_root, "list-certs", "--token", "HSM One", "--json") == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["state"] == "pending"
