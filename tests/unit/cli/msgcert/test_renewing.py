"""`renew-cert` and `renew-selfsign-cert`: the nickname stays, the certificate is another."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from mailfront.cli.msgcert import main
from mailfront.cli.msgcert.renewing import losses
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.formats import certificate_pem, chain_pem
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
_, RENEWED = issued_by(LOWER_KEY, LOWER, "mail.example.test", key=KEY)
NEW_KEY, NEW = issued_by(LOWER_KEY, LOWER, "mail.example.test")


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", KEY, [LEAF])
        token.add_authority("Example Root", ROOT)
        key, certificate = self_signed()
        token.add_key_and_certificate("Server-Cert", key, [certificate])
    return root


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["renew-cert", "--home", str(root.path), *arguments])


def record(root: ServerRoot, nickname: str = "imap-cert") -> CertificateRecord:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        record = token.require(nickname)
        if record.has_key:
            assert token.credentials(nickname).certificate == record.certificate
        return record


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o600)
    return str(path)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_a_certificate_for_the_same_key_takes_the_place_of_the_former(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "imap-cert", written(tmp_path / "new", chain_pem([LOWER, RENEWED]))) == 0
    assert record(root).certificate == RENEWED
    assert record(root).chain == (LOWER,)
    error = capsys.readouterr().err
    assert "renewed imap-cert (EC P-256), issued by CN=Example Lower" in error
    assert "WARNING" not in error


def test_a_new_key_that_waits_is_found_and_waits_no_longer(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_pending_key("imap-2", NEW_KEY)
    assert run(root, "imap-cert", written(tmp_path / "new", chain_pem([NEW, LOWER]))) == 0
    assert record(root).certificate == NEW
    assert "waited as imap-2" in capsys.readouterr().err
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        assert token.inventory().pending == ()
        assert "imap-2" not in token.nicknames()


def test_a_new_key_may_come_in_a_file(root: ServerRoot, tmp_path: Path) -> None:
    chain = written(tmp_path / "fullchain.pem", chain_pem([NEW, LOWER]))
    key = written(tmp_path / "privkey.pem", key_pem(NEW_KEY))
    assert run(root, "imap-cert", chain, "--key", key) == 0
    assert record(root).certificate == NEW
    assert record(root).chain == (LOWER,)


def test_a_new_key_may_come_in_a_pkcs12_file(root: ServerRoot, tmp_path: Path) -> None:
    encryption = serialization.BestAvailableEncryption(b"secret")
    file = written(
        tmp_path / "new.p12",
        pkcs12.serialize_key_and_certificates(b"x", NEW_KEY, NEW, [LOWER], encryption),
    )
    password = written(tmp_path / "password", b"secret\n")
    assert run(root, "imap-cert", file, "-I", password) == 0
    assert record(root).certificate == NEW
    assert record(root).chain == (LOWER,)


def test_the_same_certificate_again_changes_nothing(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    before = root.certificate_database.read_bytes()
    assert run(root, "imap-cert", written(tmp_path / "new", certificate_pem(LEAF))) == 0
    assert "there already" in capsys.readouterr().err
    assert root.certificate_database.read_bytes() == before


def test_a_certificate_of_an_unknown_key_is_refused(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "imap-cert", written(tmp_path / "new", chain_pem([NEW, LOWER]))) == 1
    assert "--key FILE" in capsys.readouterr().err
    assert record(root).certificate == LEAF


def test_a_certificate_of_another_ones_key_is_refused(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = written(tmp_path / "new", certificate_pem(RENEWED))
    assert run(root, "Server-Cert", file) == 1
    assert "msgcert renew-cert imap-cert FILE" in capsys.readouterr().err


def test_a_key_that_is_not_the_certificates_is_refused(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    chain = written(tmp_path / "fullchain.pem", chain_pem([RENEWED, LOWER]))
    key = written(tmp_path / "privkey.pem", key_pem(NEW_KEY))
    assert run(root, "imap-cert", chain, "--key", key) == 1
    assert "not the one of the certificate" in capsys.readouterr().err
    assert record(root).certificate == LEAF


@pytest.mark.parametrize(
    ("alias", "words"),
    [("imap-crt", "did you mean imap-cert"), ("Example Root", "add-cert -C")],
)
def test_what_cannot_be_renewed_is_told(
    root: ServerRoot, tmp_path: Path, alias: str, words: str, capsys: Captured
) -> None:
    assert run(root, alias, written(tmp_path / "new", certificate_pem(RENEWED))) == 1
    assert words in capsys.readouterr().err


def test_a_pending_key_is_not_renewed_but_gets_its_first_certificate(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_pending_key("imap-2", NEW_KEY)
    assert run(root, "imap-2", written(tmp_path / "new", certificate_pem(NEW))) == 1
    assert "msgcert add-cert imap-2 FILE" in capsys.readouterr().err


def test_a_weak_key_is_refused_unless_it_is_allowed(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    certificate = signed_by_itself(weak)
    chain = written(tmp_path / "cert.pem", certificate_pem(certificate))
    key = written(
        tmp_path / "key.pem",
        weak.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )
    assert run(root, "imap-cert", chain, "--key", key) == 1
    assert "--allow-weak" in capsys.readouterr().err
    assert run(root, "imap-cert", chain, "--key", key, "--allow-weak") == 0
    assert record(root).certificate == certificate
    assert main(["renew-selfsign-cert", "imap-cert", "--home", str(root.path)]) == 0
    assert "renew it with --new-key" in capsys.readouterr().err


def signed_by_itself(key: rsa.RSAPrivateKey) -> x509.Certificate:
    _, pattern = self_signed()
    return (
        x509.CertificateBuilder()
        .subject_name(pattern.subject)
        .issuer_name(pattern.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(pattern.not_valid_before_utc)
        .not_valid_after(pattern.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )


def test_lost_names_and_a_shorter_life_are_told() -> None:
    _, former = self_signed("imap.example.test", days=90)
    _, shorter = self_signed("pop.example.test", days=10)
    names, life = losses(former, shorter)
    assert "DNS:imap.example.test" in names
    assert "valid longer" in life
    assert list(losses(former, former)) == []


def test_a_self_signed_certificate_is_renewed(root: ServerRoot, capsys: Captured) -> None:
    before = record(root, "Server-Cert")
    assert main(["renew-selfsign-cert", "Server-Cert", "--home", str(root.path)]) == 0
    renewed = record(root, "Server-Cert")
    assert renewed.certificate.serial_number != before.certificate.serial_number
    assert renewed.certificate.public_key() == before.certificate.public_key()
    assert renewed.sha256 in capsys.readouterr().err


def test_a_self_signed_certificate_is_renewed_with_a_new_key(root: ServerRoot) -> None:
    before = record(root, "Server-Cert")
    status = main(
        ["renew-selfsign-cert", "--new-key", "Server-Cert", "--validity", "12", "--home",
         str(root.path)]
    )  # fmt: skip
    assert status == 0
    renewed = record(root, "Server-Cert").certificate
    assert renewed.public_key() != before.certificate.public_key()
    assert (renewed.not_valid_after_utc - renewed.not_valid_before_utc).days in (365, 366)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("imap-cert",), 1, "renew-cert"),
        (("Server-Cert", "--validity", "0"), 1, "1 to 120"),
        (("Server-Crt",), 1, "did you mean Server-Cert"),
        ((), 2, "CERT_ALIAS"),
        (("Server-Cert", "--validity", "x"), 2, "--validity"),
    ],
)
def test_what_cannot_be_renewed_by_itself_is_told(
    root: ServerRoot, arguments: tuple[str, ...], status: int, words: str, capsys: Captured
) -> None:
    before = record(root, "Server-Cert")
    assert main(["renew-selfsign-cert", "--home", str(root.path), *arguments]) == status
    assert words in capsys.readouterr().err
    assert record(root, "Server-Cert") == before


def test_the_same_certificate_with_its_intermediate_completes_the_chain(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = written(tmp_path / "fullchain.pem", chain_pem([LEAF, LOWER]))
    assert run(root, "imap-cert", file) == 0
    assert record(root).chain == (LOWER,)
    assert run(root, "imap-cert", file) == 0
    assert "the same certificate is there already" in capsys.readouterr().err
