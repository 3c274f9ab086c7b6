"""`generate-certDB` and `add-selfsign-cert`."""

from __future__ import annotations

import getpass
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.formats import alternative_names, name_text
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import DEFAULT_NICKNAME, INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.records import CertificateRecord
from tests.support.keystores import CHEAP, PASSWORD, root_with_keystore

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def cheap_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command uses today's cost; half a second each teaches these tests nothing."""
    monkeypatch.setitem(InternalToken.create.__kwdefaults__ or {}, "cost", CHEAP)


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


@pytest.fixture
def bare(tmp_path: Path) -> ServerRoot:
    path = tmp_path / "bare"
    path.mkdir()
    return ServerRoot(path)


def run(root: ServerRoot, *arguments: str) -> int:
    return main([*arguments, "--home", str(root.path)])


def record(root: ServerRoot, nickname: str) -> CertificateRecord:
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(root.certificate_database, password) as token:
        return token.require(nickname)


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    remaining = list(answers)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(getpass, "getpass", lambda text: remaining.pop(0))


def without_terminal(monkeypatch: pytest.MonkeyPatch, octets: bytes = b"") -> None:
    stream = SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(octets))
    monkeypatch.setattr(sys, "stdin", stream)


def test_without_terminal_the_password_is_random_and_never_shown(
    bare: ServerRoot, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_terminal(monkeypatch)
    assert run(bare, "generate-certDB") == 0
    password = read_password(bare.sslpassword_conf, INTERNAL_TOKEN)
    captured = capsys.readouterr()
    assert password.reveal() not in captured.out + captured.err
    assert "Server-Cert (EC P-256)" in captured.err
    assert captured.out == ""
    assert "DNS:localhost" in alternative_names(record(bare, DEFAULT_NICKNAME).certificate)


def test_a_terminal_is_asked_twice(bare: ServerRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, "chosen", "chosen")
    assert run(bare, "generate-certDB") == 0
    assert read_password(bare.sslpassword_conf, INTERNAL_TOKEN).reveal() == "chosen"


def test_an_empty_answer_means_a_random_password(
    bare: ServerRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch, "")
    assert run(bare, "generate-certDB") == 0
    assert len(read_password(bare.sslpassword_conf, INTERNAL_TOKEN).reveal()) >= 32


def test_two_different_answers_make_nothing(
    bare: ServerRoot, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    at_a_terminal(monkeypatch, "one", "two")
    assert run(bare, "generate-certDB") == 1
    assert "differ" in capsys.readouterr().err
    assert list(bare.path.iterdir()) == []


def test_a_password_may_come_from_standard_input(
    bare: ServerRoot, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    without_terminal(monkeypatch, b"netscape!\n")
    assert run(bare, "generate_certdb", "-W", "-") == 0
    assert read_password(bare.sslpassword_conf, INTERNAL_TOKEN).reveal() == "netscape!"
    assert "WARNING" in capsys.readouterr().err


def test_an_existing_database_is_not_overwritten(root: ServerRoot, capsys: Captured) -> None:
    before = root.certificate_database.read_bytes()
    assert run(root, "generate-certDB") == 1
    assert "already" in capsys.readouterr().err
    assert root.certificate_database.read_bytes() == before
    assert read_password(root.sslpassword_conf, INTERNAL_TOKEN) == PASSWORD


def test_the_configured_names_stand_in_the_default_certificate(
    bare: ServerRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.config_directory.mkdir()
    bare.msg_conf.write_text(
        "service.hostname = mx.example.test\nservice.defaultdomain = example.test\n"
    )
    without_terminal(monkeypatch)
    assert run(bare, "generate-certDB") == 0
    certificate = record(bare, DEFAULT_NICKNAME).certificate
    assert alternative_names(certificate) == [
        "DNS:mx.example.test",
        "DNS:example.test",
        "DNS:localhost",
    ]


def test_a_self_signed_certificate_is_made_of_parts(root: ServerRoot, capsys: Captured) -> None:
    status = run(
        root, "add-selfsign-cert", "--name", "imap.example.test", "--org", "Example, Inc",
        "--org-unit", "Mail", "--city", "Bern", "--state", "BE", "--country", "CH", "imap-cert",
    )  # fmt: skip
    assert status == 0
    made = record(root, "imap-cert")
    assert name_text(made.certificate.subject) == (
        r"CN=imap.example.test,OU=Mail,O=Example\, Inc,L=Bern,ST=BE,C=CH"
    )
    assert alternative_names(made.certificate) == ["DNS:imap.example.test"]
    assert made.sha256 in capsys.readouterr().err


def test_a_whole_subject_and_several_names(root: ServerRoot) -> None:
    status = run(
        root, "add-selfsign-cert", "-S", "CN=Mail,O=Example", "--san", "a.example, 192.0.2.7",
        "--san", "b.example", "--validity", "12", "imap-cert",
    )  # fmt: skip
    assert status == 0
    certificate = record(root, "imap-cert").certificate
    assert alternative_names(certificate) == ["DNS:a.example", "IP:192.0.2.7", "DNS:b.example"]
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    assert days in (365, 366)


def test_without_subject_the_machine_is_named(root: ServerRoot) -> None:
    assert run(root, "add-selfsign-cert", "imap-cert") == 0
    assert name_text(record(root, "imap-cert").certificate.subject).startswith("CN=")


@pytest.mark.parametrize(
    ("options", "description"),
    [
        ((), "EC P-256"),
        (("--curve", "P-384"), "EC P-384"),
        (("--keytype", "rsa"), "RSA 2048"),
        (("--keysize", "3072"), "RSA 3072"),
        (("--keytype", "ed25519"), "Ed25519"),
    ],
)
def test_the_key_can_be_chosen(
    root: ServerRoot, options: tuple[str, ...], description: str
) -> None:
    assert run(root, "add-selfsign-cert", "--name", "a.example", *options, "new") == 0
    assert record(root, "new").key_description == description


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--keysize", "1024"), "too weak"),
        (("--curve", "P-192"), "unknown curve"),
        (("--keytype", "rsa", "--curve", "P-256"), "do not go with"),
        (("--country", "usa"), "two letters"),
        (("-S", "imap.example.test"), "RFC 4514"),
        (("--san", "a b"), "no name that a certificate can carry"),
        (("--san", ""), "no name that a certificate can carry"),
        (("--validity", "0"), "1 to 120"),
        (("--name", ""), "--name"),
        (("--name", "x" * 65), "--name"),
    ],
)
def test_what_cannot_be_made_is_told_with_a_remedy(
    root: ServerRoot, capsys: Captured, options: tuple[str, ...], words: str
) -> None:
    assert run(root, "add-selfsign-cert", *options, "new") == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("-S", "CN=a", "--name", "b", "new"),
        ("-S", "CN=a", "--country", "CH", "new"),
        ("--keytype", "dsa", "new"),
        ("--validity", "x", "new"),
        (),
    ],
)
def test_wrong_usage_exits_2(root: ServerRoot, arguments: tuple[str, ...]) -> None:
    assert run(root, "add-selfsign-cert", *arguments) == 2


def test_an_alias_in_use_is_refused(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "add-selfsign-cert", "new") == 0
    before = record(root, "new").sha256
    assert run(root, "add-selfsign-cert", "new") == 1
    assert "'new' already" in capsys.readouterr().err
    assert record(root, "new").sha256 == before


def test_a_certificate_that_no_client_can_match_is_made_with_a_note(
    root: ServerRoot, capsys: Captured
) -> None:
    assert run(root, "add-selfsign-cert", "--name", "Mail Server", "new") == 0
    assert "--san" in capsys.readouterr().err


def test_a_new_database_has_the_public_authorities(
    bare: ServerRoot, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    without_terminal(monkeypatch)
    assert run(bare, "generate-certDB") == 0
    assert "public CAs, trusted for servers" in capsys.readouterr().err
    password = read_password(bare.sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(bare.certificate_database, password) as token:
        trusts = {one.trust.letters for one in token.list() if not one.has_key}
    assert trusts == {"C"}


def test_force_replaces_an_empty_database_only(
    root: ServerRoot, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    without_terminal(monkeypatch)
    assert run(root, "generate-certDB", "--force") == 0
    made = record(root, DEFAULT_NICKNAME)
    assert run(root, "generate-certDB", "--force") == 1
    assert "not empty" in capsys.readouterr().err
    assert record(root, DEFAULT_NICKNAME) == made
