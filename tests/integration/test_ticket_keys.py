"""Sessions resumed with tickets: a running server and openssl's client, over a reload."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import set_option
from mailfront.tls import ticket_bridge
from tests.conftest import NewServer
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer, run_command
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


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_ticket_resumes_only_with_the_certificate_that_the_name_chose(
    new_server: NewServer, tmp_path: Path, version: str
) -> None:
    session = str(tmp_path / "session.pem")
    names, other = ("imap.tenant.test", "mail.tenant.test"), "other.tenant.test"

    def asks(name: str, *more: str) -> str:
        return connect(server, version, "-ign_eof", "-servername", name, *more)

    with new_server() as server:
        for nickname, served in (("a", names), ("b", (other,))):
            add = ("add-selfsign-cert", "--home", str(server.root.path), "--name", served[0])
            sans = [each for name in served for each in ("--san", f"dns:{name}")]
            finished = run_command("msgcert", *add, *sans, nickname)
            assert finished.returncode == 0, finished.stderr
        # The later one of the two.
        eventually(lambda: f"CN = {other}" in asks(other), "the certificate for the name")
        assert "New, TLSv1" in asks(names[0], "-sess_out", session)
        assert "Reused, TLSv1" in asks(names[0], "-sess_in", session)
        assert "Reused, TLSv1" in asks(names[1], "-sess_in", session), "the same certificate"
        for name in ("unknown.tenant.test", "localhost", other):
            assert "New, TLSv1" in asks(name, "-sess_in", session)
        assert f"CN = {other}" in asks(other, "-sess_in", session)
        assert "Reused, TLSv1" in asks(names[0], "-sess_in", session)
        renew = ("renew-selfsign-cert", "--home", str(server.root.path), "a")
        assert run_command("msgcert", *renew).returncode == 0
        eventually(lambda: "New, TLSv1" in asks(names[0], "-sess_in", session), "a full handshake")
