"""`verify`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.internal_token import InternalToken
from tests.support.keystores import PASSWORD, root_with_keystore, self_signed

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    key, certificate = self_signed("mail.example.test")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("Server-Cert", key, [certificate])
    return root


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["verify", *arguments, "--home", str(root.path)])


def configure(root: ServerRoot, **options: str) -> None:
    lines = [f"service.hostname = {options.pop('hostname')}"]
    root.msg_conf.write_text("\n".join(lines) + "\n")


def test_an_intact_database_is_exit_0_and_no_line_of_data(
    root: ServerRoot, capsys: Captured
) -> None:
    assert run(root) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 entries, nothing to find fault with" in captured.err


def test_each_finding_is_a_line_and_exit_1(root: ServerRoot, capsys: Captured) -> None:
    with closing(sqlite3.connect(root.certificate_database)) as connection, connection:
        connection.execute("UPDATE entry SET trust = 'CTu'")
    assert run(root) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Server-Cert: the entry was altered")


def test_the_configured_host_name_must_be_covered(root: ServerRoot, capsys: Captured) -> None:
    configure(root, hostname="mail.example.test")
    assert run(root) == 0
    configure(root, hostname="imap.example.test")
    assert run(root) == 1
    assert "the certificate is not for imap.example.test" in capsys.readouterr().out


def test_json_is_a_list_of_findings(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    configure(root, hostname="imap.example.test")
    assert run(root, "--json") == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding["alias"] == "Server-Cert"
    assert set(finding) == {"alias", "problem", "remedy"}
