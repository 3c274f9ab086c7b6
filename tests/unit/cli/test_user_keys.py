"""`mailfront user enroll-key`, `remove-key`, and the keys in `show` and `list`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.cli.main import main
from mailfront.configuration.default_files import install_default_configuration
from mailfront.configuration.home import ServerRoot
from mailfront.directory.editing import add_entry
from mailfront.directory.enrolled_keys import key_fingerprint
from mailfront.keystore.formats import certificate_pem
from tests.support.client_certificates import client_certificate

ANN, BOB = "ann@example.test", "bob@example.test"
CERTIFICATE = client_certificate("CN=Ann")
FINGERPRINT = key_fingerprint(CERTIFICATE)
Run = Callable[..., int]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path / "root")
    install_default_configuration(root)
    for address in (ANN, BOB):
        add_entry(root.users_ldif, address, "{ARGON2}x")
    return root


@pytest.fixture
def run(root: ServerRoot) -> Run:
    def run(command: str, *arguments: str) -> int:
        return main(["user", command, "--home", str(root.path), *arguments])

    return run


@pytest.fixture
def file(tmp_path: Path) -> str:
    return written(tmp_path, CERTIFICATE)


def written(directory: Path, certificate: x509.Certificate) -> str:
    path = directory / "certificate.pem"
    path.write_bytes(certificate_pem(certificate))
    return str(path)


def test_a_key_is_enrolled_shown_listed_and_removed(
    run: Run, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enroll-key", ANN, file) == 0
    assert f"{ANN} may log in with the key {FINGERPRINT[:16]}  EC P-256" in capsys.readouterr().err
    assert run("show", ANN) == 0
    assert f"Key:                {FINGERPRINT[:16]}  EC P-256, CN=Ann" in capsys.readouterr().out
    assert run("list", "--json") == 0
    ann, bob = json.loads(capsys.readouterr().out)
    assert [key["fingerprint"] for key in ann["keys"]] == [FINGERPRINT]
    assert bob["keys"] == []
    assert run("enroll-key", ANN, file) == 0
    assert "has this key already" in capsys.readouterr().err
    assert run("remove-key", ANN, FINGERPRINT[:8].upper()) == 0
    assert run("show", ANN, "--json") == 0
    assert json.loads(capsys.readouterr().out)["keys"] == []


def test_the_certificate_itself_names_the_key_to_remove(run: Run, file: str) -> None:
    assert run("enroll-key", ANN, file) == 0
    assert run("remove-key", ANN, file) == 0
    assert run("remove-key", ANN, file) == 1


def test_who_enrols_is_told_that_no_mapping_takes_keys(
    run: Run, root: ServerRoot, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enroll-key", ANN, file) == 0
    assert "add the line `default:pinned on`" in capsys.readouterr().err
    with root.certmap_conf.open("a") as stream:
        stream.write("default:pinned on\n")
    assert run("enroll-key", BOB, file) == 1
    assert run("remove-key", ANN, file) == 0
    assert run("enroll-key", BOB, file) == 0
    assert "pinned" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        (client_certificate(begins=datetime.now(UTC) - timedelta(days=9), days=8), "it expired on"),
        (
            client_certificate(extensions=[x509.BasicConstraints(ca=True, path_length=None)]),
            "it is the certificate of a CA: openssl req",
        ),
        (
            client_certificate(key=rsa.generate_private_key(65537, 1024)),
            "the key is weak: RSA 1024",
        ),
        (
            client_certificate(
                extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]
            ),
            "its extended key usage does not allow clients",
        ),
    ],
    ids=["expired", "CA", "weak", "server"],
)
def test_a_certificate_that_should_let_nobody_in_is_refused(
    run: Run,
    root: ServerRoot,
    tmp_path: Path,
    certificate: x509.Certificate,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = root.users_ldif.read_bytes()
    assert run("enroll-key", ANN, written(tmp_path, certificate)) == 1
    assert message in capsys.readouterr().err
    assert root.users_ldif.read_bytes() == before


def test_a_key_of_somebody_else_is_refused(
    run: Run, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enroll-key", ANN, file) == 0
    assert run("enroll-key", BOB, file) == 1
    assert f"this key is enrolled for {ANN}" in capsys.readouterr().err


def test_what_names_no_key_or_several_is_refused(
    run: Run, tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("remove-key", ANN, "0123456789abcdef") == 1
    assert "no key is enrolled" in capsys.readouterr().err
    assert run("enroll-key", ANN, file) == 0
    other = client_certificate(key=ec.generate_private_key(ec.SECP256R1()))
    assert run("enroll-key", ANN, written(tmp_path, other)) == 0
    capsys.readouterr()
    assert run("remove-key", ANN, "0123456789abcdef") == 1
    assert FINGERPRINT[:16] in capsys.readouterr().err
    # Too short for a fingerprint, so it is a file.
    assert run("remove-key", ANN, FINGERPRINT[:4]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_fingerprint_without_its_certificate_is_shown_as_of_no_use(
    run: Run, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    content = root.users_ldif.read_text()
    line = f"mail: {ANN}\nmailFrontKeyFingerprint: {FINGERPRINT}\n"
    root.users_ldif.write_text(content.replace(f"mail: {ANN}\n", line))
    assert run("show", ANN) == 0
    assert "without its certificate" in capsys.readouterr().out
    assert run("show", ANN, "--json") == 0
    assert json.loads(capsys.readouterr().out)["keys"][0]["subject"] is None
