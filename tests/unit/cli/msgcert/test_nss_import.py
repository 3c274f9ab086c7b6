"""`import-nssdb`: what it says, over contents as the tools of NSS would give them."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.errors import WrongPasswordError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import nssdb, requests
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nssdb import NssAuthority, NssContents, NssKeys
from mailfront.keystore.pkcs12 import Identity, Pkcs12Contents
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import (
    PASSWORD,
    authority,
    certificate_for,
    issued_by,
    password_file,
    root_with_keystore,
    self_signed,
)

Captured = pytest.CaptureFixture[str]
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")
OWN_KEY, OWN = self_signed()
BOTH = TrustFlags.SERVERS | TrustFlags.CLIENTS


def keys(
    nickname: str,
    key: requests.PrivateKey,
    certificate: x509.Certificate,
    *,
    trust: TrustFlags = TrustFlags.NONE,
) -> NssKeys:
    return NssKeys(Pkcs12Contents((Identity(nickname, key, certificate),), ()), trust)


CONTENTS = NssContents(
    {
        "imap": keys("imap", KEY, LEAF),
        "own, old": keys("own, old", OWN_KEY, OWN, trust=BOTH),
    },
    (NssAuthority("Example CA - Example, Inc", CA, BOTH),),
    ("a friend",),
)


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


@pytest.fixture(autouse=True)
def nss_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools of NSS are the interoperability tests' affair."""

    def read(directory: Path, password: Secret | None) -> NssContents:
        if password != Secret("netscape!"):
            raise WrongPasswordError("the password does not open the NSS database")
        return CONTENTS

    monkeypatch.setattr(nssdb, "read_nss_database", read)


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["import-nssdb", "--home", str(root.path), *arguments, "/old"])


def with_password(tmp_path: Path, text: str = "netscape!") -> tuple[str, str]:
    return "--nss-pwd-file", password_file(tmp_path / "pw", Secret(text))


def trust(root: ServerRoot) -> dict[str, str]:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return {record.nickname: record.trust.letters for record in token.list()}


EXPECTED = {"Example CA - Example- Inc": "CT", "imap": "u", "own- old": "u"}


def test_everything_is_imported_at_once(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    assert run(root, *with_password(tmp_path)) == 0
    assert trust(root) == EXPECTED
    told = capsys.readouterr().err
    assert "imported the CA Example CA - Example- Inc, trust CT" in told
    assert "left out a friend" in told


def test_the_same_again_needs_replace_and_changes_nothing(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, *with_password(tmp_path)) == 0
    assert run(root, *with_password(tmp_path)) == 1
    assert "--replace" in capsys.readouterr().err
    assert run(root, *with_password(tmp_path), "--replace") == 0
    assert capsys.readouterr().err.count("there already") == 3
    assert trust(root) == EXPECTED


def test_a_ca_that_is_there_already_gets_the_trust_that_it_lacks(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_authority("public", CA, "C")
    assert run(root, *with_password(tmp_path)) == 0
    assert "its trust is now CT" in capsys.readouterr().err
    assert trust(root) == {"imap": "u", "own- old": "u", "public": "CT"}


def test_another_ca_of_the_same_name_gets_a_number(root: ServerRoot, tmp_path: Path) -> None:
    _, other = authority("Other CA")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_authority("Example CA - Example- Inc", other, "C")
    assert run(root, *with_password(tmp_path)) == 0
    assert trust(root)["Example CA - Example- Inc 2"] == "CT"


def test_the_password_is_asked_for_only_where_there_is_one(
    root: ServerRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "netscape!"

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(getpass, "getpass", answer)
    assert run(root) == 0
    assert asked == ["Enter the NSS database password: "]


def test_without_terminal_the_password_must_be_in_a_file(
    root: ServerRoot, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert run(root) == 1
    assert "--nss-pwd-file" in capsys.readouterr().err


def test_a_wrong_password_is_one_line(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    assert run(root, *with_password(tmp_path, "a guess")) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_weak_key_is_named_and_nothing_imported(
    root: ServerRoot, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(65537, 1024)
    weak = keys("weak", key, certificate_for(key))
    contents = NssContents(CONTENTS.identities | {"weak": weak}, (), ())
    monkeypatch.setattr(nssdb, "read_nss_database", lambda *_: contents)
    assert run(root) == 1
    assert "'weak': the key is weak: RSA 1024" in capsys.readouterr().err
    assert trust(root) == {}
    assert run(root, "--allow-weak") == 0
    assert "weak" in trust(root)


def test_trust_stays_with_a_ca_whose_key_is_there_and_leaves_others(
    root: ServerRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = {
        "ca": keys("ca", CA_KEY, CA, trust=BOTH),
        "own": keys("own", OWN_KEY, OWN, trust=BOTH),
    }
    monkeypatch.setattr(nssdb, "read_nss_database", lambda *_: NssContents(identities, (), ()))
    assert run(root) == 0
    assert trust(root) == {"ca": "CTu", "own": "u"}
