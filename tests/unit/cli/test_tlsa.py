"""`mailfront tlsa`: what to publish for the keys that are served, and for the next."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.cli.msgcert.commands import main as msgcert
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import set_option
from mailfront.keystore.formats import certificate_public_key_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password


@pytest.fixture
def home(server_root_template: Path, tmp_path: Path) -> str:
    path = shutil.copytree(server_root_template, tmp_path / "root")
    set_option(ServerRoot(path).msg_conf, "service.hostname", "mail.example.test")
    return str(path)


def digest(home: str, nickname: str) -> str:
    root = ServerRoot(Path(home))
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(root.certificate_database, password) as token:
        certificate = token.require(nickname).certificate
    return hashlib.sha256(certificate_public_key_der(certificate)).hexdigest()


def test_the_served_key_is_printed_as_a_line_of_the_zone(
    home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tlsa", "--home", home]) == 0
    assert capsys.readouterr().out == (
        f"_25._tcp.mail.example.test. IN TLSA 3 1 1 {digest(home, 'smtp-cert')} "
        "; smtp-cert, served\n"
    )


def test_service_port_and_host_may_be_named(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--service", "imap", "--port", "993", "--host", "imap.example.test", "--json"]
    assert main(["tlsa", "--home", home, *arguments]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["name"] == "_993._tcp.imap.example.test"
    assert record["data"] == f"3 1 1 {digest(home, 'imap-cert')}"


def test_the_next_key_is_the_one_that_waits_and_no_key_of_dkim(
    home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["dkim", "create", "example.test", "s1", "--algorithm", "ed25519", "--home", home])
    capsys.readouterr()
    assert main(["tlsa", "--next", "--home", home]) == 0
    assert "no key waits" in capsys.readouterr().err
    request = [
        "request-cert",
        "--name",
        "mail.example.test",
        "--alias",
        "next-cert",
        "-o",
        f"{home}/r.pem",
    ]
    assert msgcert(["--home", home, *request]) == 0
    capsys.readouterr()
    assert main(["tlsa", "--next", "--home", home]) == 0
    served, waiting = capsys.readouterr().out.splitlines()
    assert served.endswith("; smtp-cert, served")
    assert waiting.endswith("; next-cert, waiting")


def test_a_port_is_a_number(home: str) -> None:
    assert main(["tlsa", "--home", home, "--port", "70000"]) == 2
