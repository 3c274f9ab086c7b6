"""Keys on tokens are not exported, and the reason is told."""

from __future__ import annotations

import pytest
from pkcs11 import Attribute, KeyType

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.pkcs11.external_token import ExternalToken
from tests.support.issuing import Issuer
from tests.support.softhsm import SoftHsm

Captured = pytest.CaptureFixture[str]
TOKEN = "HSM One"


def run(root: ServerRoot, *arguments: object) -> int:
    return main(["--home", str(root.path), *map(str, arguments)])


def test_a_key_that_is_not_extractable_stays(token_root: ServerRoot, capsys: Captured) -> None:
    assert run(token_root, "add-selfsign-cert", f"{TOKEN}:imap", "--name", "a.example.test") == 0
    assert run(token_root, "export-cert", f"{TOKEN}:imap") == 1
    told = capsys.readouterr().err
    assert "CKA_EXTRACTABLE is false; sensitive, always sensitive, never extractable" in told
    assert 'msgcert show-cert -F ascii "HSM One:imap"' in told


def test_nor_is_one_taken_off_that_might_leave(
    token_root: ServerRoot, hsm: SoftHsm, capsys: Captured
) -> None:
    with hsm.session(TOKEN) as session:
        session.generate_keypair(
            KeyType.RSA, 2048, label="loose", id=b"\1", store=True,
            private_template={Attribute.EXTRACTABLE: True},
        )  # fmt: skip
        token = ExternalToken(session)
        (key,) = token.contents().keys
        assert key.public_key is not None
        issued = Issuer().issue("mail.example.test", key=token.signing_key(key))
        token.store_certificate("loose", issued.chain, key)
    assert run(token_root, "export-cert", f"{TOKEN}:loose") == 1
    assert "may leave the token, and mailfront does not take it off" in capsys.readouterr().err
    assert run(token_root, "export-cert", f"{TOKEN}:Example Issuing CA") == 1
    assert "is not on the token" in capsys.readouterr().err
