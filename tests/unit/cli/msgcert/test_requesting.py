"""`request-cert`: the key stays and waits, the request goes out."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.formats import general_name_text, name_text
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import PendingKey
from tests.support.keystores import PASSWORD, root_with_keystore

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["request-cert", "--home", str(root.path), *arguments])


def pending(root: ServerRoot) -> dict[str, PendingKey]:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return {key.nickname: key for key in token.inventory().pending}


def names(request: x509.CertificateSigningRequest) -> list[str]:
    found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [general_name_text(name) for name in found.value]


def test_the_request_is_der_by_default_and_its_key_waits(root: ServerRoot, tmp_path: Path) -> None:
    file = tmp_path / "mail.der"
    assert run(root, "--name", "mail.example.com", "--org", "Example", "-o", str(file)) == 0
    request = x509.load_der_x509_csr(file.read_bytes())
    assert request.is_signature_valid
    assert name_text(request.subject) == "CN=mail.example.com,O=Example"
    assert names(request) == ["DNS:mail.example.com"]
    assert pending(root)["mail.example.com"].public_key == request.public_key()
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("form", ["ascii", "pem"])
def test_the_text_form_is_pem(root: ServerRoot, form: str, capsys: Captured) -> None:
    assert run(root, "--name", "mail.example.com", "--san", "a.example,b.example", "-F", form) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    assert names(x509.load_pem_x509_csr(captured.out.encode())) == [
        "DNS:a.example",
        "DNS:b.example",
    ]
    assert "msgcert add-cert mail.example.com FILE" in captured.err


@pytest.mark.parametrize("form", ["binary", "der"])
def test_binary_output_is_kept_from_a_terminal_before_a_key_is_made(
    root: ServerRoot, form: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: True, flush=lambda: None))
    assert run(root, "--name", "mail.example.com", "-F", form) == 1
    assert "-F ascii" in capsys.readouterr().err
    assert pending(root) == {}


def test_a_file_is_overwritten_only_by_force(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "mail.der"
    file.write_bytes(b"precious")
    assert run(root, "--name", "mail.example.com", "-o", str(file)) == 1
    assert "--force" in capsys.readouterr().err
    assert file.read_bytes() == b"precious"
    assert pending(root) == {}
    assert run(root, "--name", "mail.example.com", "-o", str(file), "--force") == 0
    x509.load_der_x509_csr(file.read_bytes())


def test_a_key_whose_request_cannot_be_written_does_not_stay(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "directory").mkdir()
    file = tmp_path / "directory"
    assert run(root, "--name", "mail.example.com", "-o", str(file), "--force") == 1
    assert "cannot be written" in capsys.readouterr().err
    assert pending(root) == {}


def test_the_key_waits_under_another_alias_if_that_is_asked_for(root: ServerRoot) -> None:
    assert run(root, "--name", "mail.example.com", "--alias", "imap-cert", "-F", "ascii") == 0
    assert run(
        root, "--name", "mail.example.com", "--alias", "imap-rsa", "--keytype", "rsa", "-F", "pem"
    ) == 0  # fmt: skip
    assert {name: key.key_description for name, key in pending(root).items()} == {
        "imap-cert": "EC P-256",
        "imap-rsa": "RSA 2048",
    }


def test_an_alias_in_use_is_refused(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "--name", "mail.example.com", "-F", "ascii") == 0
    before = pending(root)
    capsys.readouterr()
    assert run(root, "--name", "mail.example.com", "-F", "ascii") == 1
    captured = capsys.readouterr()
    assert "already" in captured.err
    assert captured.out == ""
    assert pending(root) == before


@pytest.mark.parametrize("subject", ["O=Example", "CN=2001:db8::7"])
def test_a_common_name_that_is_no_alias_asks_for_one(
    root: ServerRoot, subject: str, capsys: Captured
) -> None:
    assert run(root, "-S", subject, "-F", "ascii") == 1
    assert "--alias" in capsys.readouterr().err
    assert run(root, "-S", subject, "-F", "ascii", "--alias", "mail") == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("-S", "CN=a", "--name", "b"), 2),
        (("--force",), 2),
        (("-F", "readable"), 2),
        (("--keysize", "1024"), 1),
        (("--country", "Germany"), 1),
        (("--san", "a b"), 1),
        (("-o", "/nowhere/at/all/mail.der"), 1),
        (("--alias", "a:b", "-F", "ascii"), 1),
    ],
)
def test_mistakes_make_no_key(
    root: ServerRoot, arguments: tuple[str, ...], status: int, capsys: Captured
) -> None:
    assert run(root, *arguments) == status
    assert capsys.readouterr().err
    assert pending(root) == {}


def test_no_private_key_leaves_the_database(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "--name", "mail.example.com", "-F", "ascii") == 0
    captured = capsys.readouterr()
    assert "PRIVATE" not in captured.out + captured.err
