"""Sessions resumed with tickets: a running server and openssl's client, over a reload."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import set_option
from mailfront.tls import ticket_bridge
from tests.conftest import NewServer
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(not ticket_bridge.available(), reason="needs OpenSSL 3.0")


def connect(server: MailServer, *more: str) -> str:
    """What openssl's client says of a connection to the IMAP port, ended by LOGOUT."""
    finished = subprocess.run(
        ["openssl", "s_client", "-connect", f"{LOOPBACK}:{server.ports['imaps']}", *more],
        input=b"a LOGOUT\r\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    return finished.stdout.decode(errors="replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_resumes_until_policy_or_certificate_change(
    new_server: NewServer, tmp_path: Path, version: str
) -> None:
    session = str(tmp_path / "session.pem")
    resume = (version, "-ign_eof", "-sess_in", session)
    with new_server() as server:
        assert "New, TLSv1" in connect(server, version, "-ign_eof", "-sess_out", session)
        assert "Reused, TLSv1" in connect(server, *resume)
        set_option(server.root.msg_conf, "local.ssl.ticketlifetime", "24")
        assert server.mailfront("reload").returncode == 0
        assert "Reused, TLSv1" in connect(server, *resume)
        set_option(server.root.msg_conf, "local.imap.sslnicknames", "pop-cert")
        eventually(lambda: "New, TLSv1" in connect(server, *resume), "full handshake")
