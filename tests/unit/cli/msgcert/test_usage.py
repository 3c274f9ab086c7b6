"""Which certificates services use, and which options say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.msgcert.usage import Use, uses_of_certificates
from mailfront.configuration.home import ServerRoot
from mailfront.errors import OperatorError
from tests.support.keystores import root_with_keystore

SHARED = "encryption.rsa.nssslpersonalityssl"


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


def test_before_there_is_a_configuration_nothing_is_used(root: ServerRoot) -> None:
    assert uses_of_certificates(root) == {}


def test_services_without_nicknames_of_their_own_share_the_common_ones(root: ServerRoot) -> None:
    root.msg_conf.write_text("")
    assert uses_of_certificates(root) == {
        "Server-Cert": [Use(service, SHARED) for service in ("imta", "imap", "pop", "http")]
    }


def test_each_service_may_name_its_own_and_several(root: ServerRoot) -> None:
    root.msg_conf.write_text(
        "local.imap.sslnicknames = imap-ec, internal:imap-rsa\n"
        "local.pop.sslnicknames = HSM One:pop-cert\n"
    )
    uses = uses_of_certificates(root)
    assert set(uses) == {"Server-Cert", "imap-ec", "imap-rsa"}
    assert uses["imap-rsa"] == [Use("imap", "local.imap.sslnicknames")]
    assert [use.service for use in uses["Server-Cert"]] == ["imta", "http"]


def test_a_faulty_configuration_is_told(root: ServerRoot) -> None:
    root.msg_conf.write_text("no.such.option = 1\n")
    with pytest.raises(OperatorError):
        uses_of_certificates(root)
