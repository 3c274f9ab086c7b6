"""`add-cert`: the answer finds its key; a CA is trusted as told; everything else is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.formats import certificate_der, certificate_pem, chain_pem
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import CertificateRecord
from tests.support.keystores import (
    PASSWORD,
    authority,
    intermediate,
    issued_by,
    root_with_keystore,
    self_signed,
)

Captured = pytest.CaptureFixture[str]
ROOT_KEY, ROOT = authority("Example Root")
LOWER_KEY, LOWER = intermediate(ROOT_KEY, ROOT, "Example Lower")
KEY, LEAF = issued_by(LOWER_KEY, LOWER, "mail.example.test")


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_pending_key("mail.example.test", KEY)
    return root


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["add-cert", "--home", str(root.path), *arguments])


def written(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "answer"
    path.write_bytes(content)
    return str(path)


def found(root: ServerRoot, nickname: str) -> CertificateRecord | None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return token.find(nickname)


def record(root: ServerRoot, nickname: str) -> CertificateRecord:
    present = found(root, nickname)
    assert present is not None
    return present


def made(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    *,
    start: datetime,
    days: int,
    ca: bool = False,
) -> x509.Certificate:
    name = x509.Name.from_rfc4514_string("CN=mail.example.test")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ROOT.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(ROOT_KEY, hashes.SHA256())
    )


@pytest.mark.parametrize(
    "content",
    [
        chain_pem([LEAF, LOWER]),
        chain_pem([ROOT, LOWER, LEAF]),
        b"Dear customer\n" + chain_pem([LOWER, LEAF]),
        pkcs7.serialize_certificates([ROOT, LEAF, LOWER], serialization.Encoding.DER),
        pkcs7.serialize_certificates([LOWER, LEAF], serialization.Encoding.PEM),
    ],
)
def test_an_answer_with_its_chain_is_installed_in_any_form_and_order(
    root: ServerRoot, tmp_path: Path, content: bytes
) -> None:
    assert run(root, "mail.example.test", written(tmp_path, content)) == 0
    installed = record(root, "mail.example.test")
    assert installed.certificate == LEAF
    assert installed.chain == (LOWER,)
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        assert token.credentials("mail.example.test").chain_pem == chain_pem([LEAF, LOWER])
        assert token.inventory().pending == ()


@pytest.mark.parametrize("content", [certificate_pem(LEAF), certificate_der(LEAF)])
def test_a_chain_is_completed_with_what_the_database_has_else_a_warning_names_what_is_missing(
    root: ServerRoot, tmp_path: Path, content: bytes, capsys: Captured
) -> None:
    lower = tmp_path / "lower.pem"
    lower.write_bytes(certificate_pem(LOWER))
    assert run(root, "-C", "lower", str(lower)) == 0
    capsys.readouterr()
    assert run(root, "mail.example.test", written(tmp_path, content)) == 0
    assert record(root, "mail.example.test").chain == (LOWER,)
    assert "issuer CN=Example Root is neither in the file nor" in capsys.readouterr().err


def test_the_key_is_found_whatever_the_alias(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "imap-cert", written(tmp_path, chain_pem([LEAF, LOWER]))) == 0
    assert record(root, "imap-cert").certificate == LEAF
    assert found(root, "mail.example.test") is None
    assert "waited as mail.example.test" in capsys.readouterr().err


def test_a_certificate_without_its_key_is_refused(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    _, stranger = issued_by(ROOT_KEY, ROOT, "other.example.test")
    assert run(root, "mail.example.test", written(tmp_path, certificate_pem(stranger))) == 1
    error = capsys.readouterr().err
    assert "key of the certificate of CN=other.example.test is neither in the database" in error
    assert "import-cert" in error


def test_an_alias_that_has_a_certificate_is_not_overwritten(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    key, certificate = self_signed()
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", key, [certificate])
    assert run(root, "imap-cert", written(tmp_path, certificate_pem(LEAF))) == 1
    assert "msgcert renew-cert imap-cert FILE" in capsys.readouterr().err
    assert record(root, "imap-cert").certificate == certificate


def test_an_alias_under_which_another_key_waits_is_refused(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_pending_key("imap-cert", ec.generate_private_key(ec.SECP256R1()))
    assert run(root, "imap-cert", written(tmp_path, certificate_pem(LEAF))) == 1
    assert "waits as mail.example.test" in capsys.readouterr().err


def test_an_answer_that_is_installed_already_is_told(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = written(tmp_path, certificate_pem(LEAF))
    assert run(root, "mail.example.test", file) == 0
    assert run(root, "again", file) == 1
    assert "installed already, as 'mail.example.test'" in capsys.readouterr().err
    renewed = made(KEY, start=datetime.now(UTC), days=90)
    assert run(root, "again", written(tmp_path, certificate_pem(renewed))) == 1
    assert "msgcert renew-cert mail.example.test FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("start", "words"), [(-100, "the certificate expired on"), (10, "is not valid before")]
)
def test_an_expired_or_future_certificate_is_installed_with_a_warning(
    root: ServerRoot, tmp_path: Path, start: int, words: str, capsys: Captured
) -> None:
    certificate = made(KEY, start=datetime.now(UTC) + timedelta(days=start), days=90)
    assert run(root, "mail.example.test", written(tmp_path, certificate_pem(certificate))) == 0
    assert words in capsys.readouterr().err


def test_a_weak_key_is_refused_unless_it_is_allowed(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    certificate = made(weak, start=datetime.now(UTC), days=90)
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_pending_key("weak", weak)
    file = written(tmp_path, certificate_pem(certificate))
    assert run(root, "weak", file) == 1
    assert "--allow-weak" in capsys.readouterr().err
    assert found(root, "weak") is None
    assert run(root, "weak", file, "--allow-weak") == 0
    assert "WARNING: weak: RSA 1024" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("trust", "letters"),
    [((), "C"), (("--trust", "client"), "T"), (("--trust", "server,client"), "CT")],
)
def test_an_authority_is_trusted_for_servers_unless_told_otherwise(
    root: ServerRoot, tmp_path: Path, trust: tuple[str, ...], letters: str, capsys: Captured
) -> None:
    file = written(tmp_path, certificate_der(ROOT))
    assert run(root, "-C", "Example Root", file, *trust) == 0
    added = record(root, "Example Root")
    assert (added.trust.letters, added.has_key) == (letters, False)
    assert added.sha256 in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (certificate_pem(LEAF), "is not a CA's"),
        (chain_pem([ROOT, LOWER]), "2 certificates in it"),
        (b"", "it is empty"),
    ],
)
def test_what_is_no_single_authority_is_refused(
    root: ServerRoot, tmp_path: Path, content: bytes, words: str, capsys: Captured
) -> None:
    assert run(root, "-C", "new", written(tmp_path, content)) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "answer:" in error
    assert found(root, "new") is None


def test_an_authority_is_added_once(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, certificate_pem(ROOT))
    assert run(root, "-C", "Example Root", file) == 0
    assert run(root, "-C", "again", file) == 1
    assert "there already, as 'Example Root'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("a",),
        (),
        ("a", "b", "--trust", "server"),
        ("-C", "a", "b", "--trust", "none"),
        ("-C", "a", "b", "--trust", "everything"),
        ("-C", "a", "b", "--trust", "server,none"),
    ],
)
def test_wrong_usage_exits_2(root: ServerRoot, arguments: tuple[str, ...]) -> None:
    assert run(root, *arguments) == 2


def test_a_file_that_is_not_there_is_named(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "imap-cert", "/nowhere/answer.pem") == 1
    assert "/nowhere/answer.pem: cannot be read: No such file" in capsys.readouterr().err
