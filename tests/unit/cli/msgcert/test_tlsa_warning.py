"""When a renewal looks for TLSA records, and what it says without an answer."""

from __future__ import annotations

import argparse
import shutil
import socket
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.cli.msgcert.tlsa_warning import warn_about_tlsa
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import set_option
from tests.support.issuing import Issuer
from tests.support.ports import LOOPBACK

ISSUER = Issuer()
FORMER = ISSUER.issue("mail.example.test")
SAME_KEY = ISSUER.issue("mail.example.test", key=FORMER.key).leaf
OTHER = ISSUER.issue("mail.example.test").leaf


@pytest.fixture
def home(server_root_template: Path, tmp_path: Path) -> ServerRoot:
    return ServerRoot(shutil.copytree(server_root_template, tmp_path / "root"))


def told(
    home: ServerRoot, capsys: pytest.CaptureFixture[str], nickname: str, renewed: x509.Certificate
) -> str:
    capsys.readouterr()
    warn_about_tlsa(argparse.Namespace(home=str(home.path)), nickname, FORMER.leaf, renewed)
    return capsys.readouterr().err


@pytest.fixture
def silent_server(home: ServerRoot) -> None:
    """A port of loopback where nobody answers, as the one name server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind((LOOPBACK, 0))
        port = held.getsockname()[1]
    set_option(home.msg_conf, "dns.servers", f"{LOOPBACK}#{port}")
    set_option(home.msg_conf, "dns.timeout", "1")


@pytest.mark.usefixtures("silent_server")
def test_where_the_dns_does_not_answer_the_renewal_says_so(
    home: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is unknown: " in told(home, capsys, "smtp-cert", OTHER)


@pytest.mark.usefixtures("silent_server")
def test_a_renewal_with_the_same_key_asks_nobody(
    home: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(home, capsys, "smtp-cert", SAME_KEY) == ""


@pytest.mark.usefixtures("silent_server")
def test_a_certificate_that_smtp_does_not_present_has_no_records(
    home: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(home, capsys, "imap-cert", OTHER) == ""


def test_names_that_nobody_outside_knows_are_not_looked_up(
    home: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    set_option(home.msg_conf, "service.hostname", "mail.example.test")
    assert told(home, capsys, "smtp-cert", OTHER) == ""


def test_a_database_without_options_is_renewed_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root").mkdir()
    assert told(ServerRoot(tmp_path / "root"), capsys, "smtp-cert", OTHER) == ""
