"""`set-trust`, and the words for trust."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.cli.msgcert.trusting import parse_trust_words, trust_text
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import PASSWORD, authority, root_with_keystore, self_signed

Captured = pytest.CaptureFixture[str]
BOTH = TrustFlags.SERVERS | TrustFlags.CLIENTS


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_authority("Example CA", authority()[1])
        key, certificate = self_signed()
        token.add_key_and_certificate("imap-cert", key, [certificate])
    return root


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["set-trust", "--home", str(root.path), *arguments])


def letters(root: ServerRoot, nickname: str) -> str:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return token.require(nickname).trust.letters


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("server", TrustFlags.SERVERS, "servers"),
        ("clients", TrustFlags.CLIENTS, "clients"),
        ("Client, Server", BOTH, "servers and clients"),
        ("none", TrustFlags.NONE, "nothing"),
    ],
)
def test_words_for_trust(text: str, flags: TrustFlags, said: str) -> None:
    assert parse_trust_words(text) == flags
    assert trust_text(flags) == said


@pytest.mark.parametrize("text", ["", "C", "server,", "none,server", "all"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_trust_words(text)


@pytest.mark.parametrize(
    ("trust", "expected"), [("server,client", "CT"), ("client", "T"), ("none", "")]
)
def test_the_trust_of_a_ca_is_set(
    root: ServerRoot, trust: str, expected: str, capsys: Captured
) -> None:
    assert run(root, "Example CA", "--trust", trust) == 0
    assert letters(root, "Example CA") == expected
    assert "Example CA is trusted for" in capsys.readouterr().err
    assert main(["list-certs", "-C", "--home", str(root.path)]) == 0
    assert "Example CA" in capsys.readouterr().out


def test_a_servers_certificate_is_not_trusted_as_a_ca(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "imap-cert", "--trust", "client") == 1
    assert "not a CA's" in capsys.readouterr().err
    assert letters(root, "imap-cert") == "u"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("Example C", "--trust", "server"), 1),
        (("Example CA",), 2),
        (("Example CA", "--trust", "C"), 2),
    ],
)
def test_mistakes_change_nothing(root: ServerRoot, arguments: tuple[str, ...], status: int) -> None:
    assert run(root, *arguments) == status
    assert letters(root, "Example CA") == "C"
