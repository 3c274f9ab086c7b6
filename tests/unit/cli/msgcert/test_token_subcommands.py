"""Every subcommand works on tokens, or says why it does not."""

from __future__ import annotations

import argparse

import pytest

from mailfront.cli.msgcert import main
from mailfront.cli.msgcert.commands import SUBCOMMANDS
from mailfront.cli.msgcert.token_subcommands import run
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError

Captured = pytest.CaptureFixture[str]
ON_TOKENS = {
    "request-cert",
    "add-cert",
    "add-selfsign-cert",
    "list-certs",
    "show-cert",
    "remove-cert",
    "import-cert",
    "import-selfsign-cert",
    "export-cert",
    "renew-cert",
    "renew-selfsign-cert",
}


@pytest.mark.parametrize("name", sorted({one.name for one in SUBCOMMANDS} - ON_TOKENS))
def test_what_cannot_work_on_a_token_is_refused_with_a_remedy(name: str) -> None:
    (subcommand,) = (one for one in SUBCOMMANDS if one.name == name)
    with pytest.raises(KeystoreError) as caught:
        run(subcommand, argparse.Namespace(token="HSM One"))
    assert caught.value.remedy


def test_the_reason_of_set_trust_names_the_database(
    token_root: ServerRoot, capsys: Captured
) -> None:
    home = ("--home", str(token_root.path))
    assert main([*home, "set-trust", "HSM One:CA", "--trust", "server"]) == 1
    assert "noted in the certificate database" in capsys.readouterr().err
