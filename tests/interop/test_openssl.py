"""`openssl s_client` sees the certificate that each service's option names."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes

from tests.support.clients import served_certificate
from tests.support.server import MailServer, run_command

# Nickname: the ports that present it, with openssl's name for the STARTTLS protocol.
PRESENTED: dict[str, dict[str, str | None]] = {
    "smtp-cert": {"smtp": "smtp", "submission": "smtp", "submissions": None},
    "imap-cert": {"imap": "imap", "imaps": None},
    "pop-cert": {"pop": "pop3", "pops": None},
    "http-cert": {"https": None},
}


def fingerprints(server: MailServer, nickname: str) -> set[bytes]:
    """Return what the ports of one personality present."""
    return {
        served_certificate(server.ports[name], starttls).fingerprint(hashes.SHA256())
        for name, starttls in PRESENTED[nickname].items()
    }


def test_four_services_present_four_certificates(server: MailServer) -> None:
    seen = [fingerprints(server, nickname) for nickname in PRESENTED]
    assert [len(each) for each in seen] == [1, 1, 1, 1]
    assert len(set.union(*seen)) == 4


@pytest.mark.parametrize("nickname", PRESENTED)
def test_the_certificate_is_the_one_that_msgcert_shows(server: MailServer, nickname: str) -> None:
    (seen,) = fingerprints(server, nickname)
    shown = run_command("msgcert", "show-cert", "--home", str(server.root.path), nickname)
    assert shown.returncode == 0, shown.stderr
    assert seen.hex(":").upper() in shown.stdout.upper()
