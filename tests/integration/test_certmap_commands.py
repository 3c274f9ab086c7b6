"""certmap.conf and enrolled keys as an operator handles them: with the commands, and openssl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from tests.support.peers import require_program
from tests.support.server import ALICE, BOB, run_command


@pytest.fixture
def root(server_root_template: Path, tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path / "root")
    shutil.copytree(server_root_template, root.path)
    return root


def openssl(directory: Path, *arguments: str) -> None:
    done = subprocess.run(
        [str(require_program("openssl")), *arguments],
        cwd=directory, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def mailfront(root: ServerRoot, *arguments: str) -> tuple[int, str, str]:
    done = run_command("mailfront", *arguments, "--home", str(root.path))
    return done.returncode, done.stdout, done.stderr


def staff_certificate(directory: Path, address: str) -> Path:
    """A CA and a certificate of it for `address`, by openssl; `ca.pem` is the CA."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    openssl(
        directory, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem",
        "-subj", "/C=US/O=Example/CN=Staff CA",
    )  # fmt: skip
    openssl(
        directory, "req", "-x509", *key, "-keyout", "staff.key", "-out", "staff.pem",
        "-subj", "/C=US/O=Example/CN=Staff", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", f"subjectAltName=email:{address}", "-addext", "extendedKeyUsage=clientAuth",
    )  # fmt: skip
    return directory / "staff.pem"


def test_the_default_mapping_knows_a_user_by_the_address_in_the_certificate(
    root: ServerRoot, tmp_path: Path
) -> None:
    certificate = staff_certificate(tmp_path, ALICE)
    status, printed, _ = mailfront(root, "certmap-test", str(certificate))
    assert status == 1
    assert "no CA that is trusted for clients issued it" in printed
    trusted = run_command(
        "msgcert", "add-cert", "-C", "--trust", "client", "--home", str(root.path), "staff",
        str(tmp_path / "ca.pem"),
    )  # fmt: skip
    assert trusted.returncode == 0, trusted.stderr
    status, printed, _ = mailfront(root, "certmap-test", str(certificate), "--service", "pop")
    assert status == 0
    assert printed.endswith(f"login on pop as {ALICE}\n")


def test_a_mapping_for_the_issuer_is_chosen_and_shown(root: ServerRoot, tmp_path: Path) -> None:
    certificate = staff_certificate(tmp_path, ALICE)
    with root.certmap_conf.open("a") as stream:
        stream.write("certmap staff cn=STAFF ca;o=example,\\\n  c=us\nstaff:pinned on\n")
    _, printed, _ = mailfront(root, "certmap-test", str(certificate), "--json")
    record = json.loads(printed)
    assert record["mapping"] == "staff"
    line = len(root.certmap_conf.read_text().splitlines()) - 2
    assert record["mapping_place"] == f"{root.certmap_conf}:{line}"
    status, printed, _ = mailfront(root, "check")
    assert (status, printed) == (0, "")


def test_the_command_that_a_refusal_recommends_makes_a_certificate_that_is_enrolled(
    root: ServerRoot, tmp_path: Path
) -> None:
    openssl(
        tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Alice",
        "-keyout", "a.key", "-out", "a.pem", "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    file = tmp_path / "a.pem"
    status, _, told = mailfront(root, "user", "enroll-key", ALICE, str(file))
    assert status == 1
    command = told[told.index("openssl req") : told.index(" makes one")]
    arguments = command.replace("NAME", "Alice").split()[1:]
    openssl(tmp_path, *arguments, "-keyout", "a.key", "-out", "a.pem")
    before = root.users_ldif.read_bytes()
    status, _, told = mailfront(root, "user", "enroll-key", ALICE, str(file))
    assert status == 0
    assert "add the line `default:pinned on`" in told
    assert root.users_ldif.stat().st_mode & 0o777 == 0o600
    with root.certmap_conf.open("a") as stream:
        stream.write("default:pinned on\n")
    assert mailfront(root, "certmap-test", str(file))[0] == 0
    assert mailfront(root, "user", "enroll-key", BOB, str(file))[0] == 1
    assert mailfront(root, "user", "remove-key", ALICE, str(file))[0] == 0
    assert root.users_ldif.read_bytes() == before
    assert mailfront(root, "certmap-test", str(file))[0] == 1


def test_check_tells_the_line_of_a_mistake(root: ServerRoot) -> None:
    root.certmap_conf.write_text("certmap default default\ndefault:verifycert perhaps\n")
    status, printed, _ = mailfront(root, "check")
    assert status == 1
    assert f"{root.certmap_conf}:2: verifycert: 'perhaps' is neither on nor off" in printed
