"""`show-cert`: one certificate in four forms."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.formats import certificate_der, certificate_pem
from mailfront.keystore.internal_token import InternalToken
from tests.support.keystores import PASSWORD, root_with_keystore, self_signed

KEY, CERTIFICATE = self_signed("imap.example.test")
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[ServerRoot]:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", KEY, [CERTIFICATE])
        yield root


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["--home", str(root.path), "show-cert", *arguments])


def test_the_readable_form_is_the_default(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "imap-cert") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Certificate:\n    Data:\n")
    assert captured.err == ""


def test_ascii_is_pem(root: ServerRoot, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(root, "-F", "ascii", "imap-cert") == 0
    assert capsysbinary.readouterr().out == certificate_pem(CERTIFICATE)


@pytest.mark.parametrize("form", ["binary", "der"])
def test_binary_is_der(
    root: ServerRoot, capsysbinary: pytest.CaptureFixture[bytes], form: str
) -> None:
    assert run(root, "-F", form, "imap-cert") == 0
    assert capsysbinary.readouterr().out == certificate_der(CERTIFICATE)


def test_a_file_may_take_the_output(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    target = tmp_path / "imap.pem"
    assert run(root, "imap-cert", "-F", "ascii", "-o", str(target)) == 0
    assert target.read_bytes() == certificate_pem(CERTIFICATE)
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written_is_named(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "imap-cert", "-o", str(tmp_path / "no" / "file")) == 1
    assert "no/file: cannot be written" in capsys.readouterr().err


def test_binary_is_not_written_to_a_terminal(
    root: ServerRoot, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run(root, "-F", "binary", "imap-cert") == 1
    captured = capsys.readouterr()
    assert "-o FILE" in captured.err
    assert captured.out == ""


def test_json_is_one_record(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "--json", "imap-cert") == 0
    assert json.loads(capsys.readouterr().out)["alias"] == "imap-cert"


def test_an_unknown_alias_offers_the_nearest(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "imap-crt") == 1
    assert "did you mean imap-cert?" in capsys.readouterr().err


def test_without_alias_the_default_certificate_is_meant(root: ServerRoot, capsys: Captured) -> None:
    assert run(root) == 1
    assert "'Server-Cert'" in capsys.readouterr().err
