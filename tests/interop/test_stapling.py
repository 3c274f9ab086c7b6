"""OCSP stapling as others see it: openssl's CA, responder and client, and GnuTLS's client."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from mailfront.configuration.msg_conf import set_option
from mailfront.keystore import requests
from mailfront.keystore.internal_token import InternalToken, NewEntry
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.ocsp import must_staple
from mailfront.keystore.passwords import read_password
from mailfront.keystore.trust import TrustFlags
from mailfront.tls import stapling_bridge
from tests.conftest import NewServer
from tests.support.openssl_ca import OpensslAuthority
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer, run_command
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.skipif(bool(stapling_bridge.unavailable()), reason=stapling_bridge.unavailable()),
    # A response lasts a minute at least.
    pytest.mark.timeout(300),
]

PERSONALITY = "encryption.rsa.nssslpersonalityssl"
TENANT = "tenant.example.org"
SUCCESSFUL = "OCSP Response Status: successful"
NONE = "OCSP response: no response sent"
VERSIONS = ("-tls1_2", "-tls1_3")
SIGNATURES = {"ec": "ECDSA+SHA256", "rsa": "RSA-PSS+SHA256"}


def asked(server: MailServer, *more: str, port: str = "imaps", name: str = "localhost") -> str:
    """What openssl's client says that asks for the status."""
    finished = subprocess.run(
        ["openssl", "s_client", "-connect", f"{LOOPBACK}:{server.ports[port]}", "-status",
         "-servername", name, *more],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )  # fmt: skip
    text = finished.stdout.decode(errors="replace")
    assert "-----BEGIN CERTIFICATE-----" in text, finished.stderr.decode(errors="replace")
    return text


def stapled_serial(text: str) -> int:
    """The serial number that a good stapled response is about."""
    assert SUCCESSFUL in text, text
    assert "Cert Status: good" in text, text
    found = re.search(r"Serial Number: ([0-9A-F]+)", text)
    assert found is not None
    return int(found[1], 16)


class Site:
    """A server with certificates of both kinds, and one for another name."""

    def __init__(self, server: MailServer, authority: OpensslAuthority) -> None:
        self.server = server
        self.authority = authority
        self.certificates: dict[str, x509.Certificate] = {}
        made = {
            "ec": authority.issue("ec", family="ec"),
            "rsa": authority.issue("rsa", family="rsa"),
            "tenant": authority.issue("tenant", host=TENANT),
        }
        with self.token() as token, token.change() as step:
            root = (authority.certificate,)
            step.add(NewEntry("openssl-ca", root, None, TrustFlags.SERVERS))
            for nickname, (key, certificate) in made.items():
                step.add(NewEntry(nickname, (certificate,), key, TrustFlags.USER))
                self.certificates[nickname] = certificate

    def token(self) -> InternalToken:
        root = self.server.root
        password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
        return InternalToken.open(root.certificate_database, password)

    def replace(self, nickname: str, key: requests.PrivateKey, leaf: x509.Certificate) -> None:
        with self.token() as token:
            token.replace(nickname, (leaf,), key)

    def serial(self, nickname: str) -> int:
        return self.certificates[nickname].serial_number


@pytest.fixture
def site(new_server: NewServer, tmp_path: Path) -> Site:
    personality = {f"local.{one}.sslnicknames": "" for one in ("imap", "pop", "imta", "http")}
    server = new_server({PERSONALITY: "ec,rsa"} | personality)
    return Site(server, OpensslAuthority(tmp_path / "ca"))


def staples(site: Site, *more: str, port: str = "imaps", name: str = "localhost") -> bool:
    return SUCCESSFUL in asked(site.server, *more, port=port, name=name)


def test_every_certificate_on_every_port_has_its_own_response(site: Site) -> None:
    with site.authority.responder(), site.server as server:
        eventually(lambda: server.log.count("ocsp=good") >= 2, "both responses")
        for version in VERSIONS:
            for family, algorithm in SIGNATURES.items():
                more = [version, "-sigalgs", algorithm]
                if version == "-tls1_2":
                    more += ["-cipher", "aECDSA" if family == "ec" else "aRSA"]
                assert stapled_serial(asked(server, *more)) == site.serial(family)
                found = asked(server, *more, "-starttls", "smtp", port="smtp")
                assert stapled_serial(found) == site.serial(family)
        for port, protocol in (("imap", "imap"), ("pop", "pop3"), ("submission", "smtp")):
            assert stapled_serial(asked(server, "-starttls", protocol, port=port))
        for port in ("pops", "submissions", "https"):
            assert stapled_serial(asked(server, port=port))
        eventually(lambda: staples(site, name=TENANT), "the tenant's response, after its first use")
        for version in VERSIONS:
            assert stapled_serial(asked(server, version, name=TENANT)) == site.serial("tenant")
        status = server.mailfront("status").stdout
        assert "OCSP response stapled to ec: until " in status
        assert "OCSP response stapled to rsa: until " in status


def test_doctor_and_the_live_check_tell_what_is_stapled(site: Site) -> None:
    root = str(site.authority.directory / "ca.pem")

    def examined(server: MailServer) -> dict[str, Any]:
        target = f"{LOOPBACK}:{server.ports['imaps']}"
        told = run_command(
            "mailfront",
            "doctor",
            target,
            "--implicit",
            "--json",
            "--name",
            "localhost",
            "--ca",
            root,
        )
        report: dict[str, Any] = json.loads(told.stdout)
        return report

    with site.server as server:
        report = examined(server)
        assert report["staple"]["state"] == "none"
        assert "names a responder" in report["findings"][0]["what"]
        with site.authority.responder():
            eventually(lambda: staples(site), "a response", seconds=60)
            assert examined(server)["staple"]["state"] == "good"
            live = server.mailfront("check", "--live")
            assert "OCSP" not in live.stdout + live.stderr


def test_gnutls_verifies_the_response(site: Site) -> None:
    client = str(require_program("gnutls-cli", "gnutls-bin"))
    with site.authority.responder(), site.server as server:
        eventually(lambda: server.log.count("ocsp=good") >= 2, "both responses")
        for priority in ("NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"):
            seen = subprocess.run(
                [client, "--priority", priority, "--ocsp", "--port", str(server.ports["imaps"]),
                 "--x509cafile", str(site.authority.directory / "ca.pem"),
                 "--sni-hostname", "localhost", "--verify-hostname", "localhost", LOOPBACK],
                input="a LOGOUT\r\n", capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            assert "OCSP status request" in seen.stdout, seen.stdout + seen.stderr
            assert seen.returncode == 0, seen.stdout + seen.stderr


def test_a_responder_that_dies_costs_no_handshake_and_a_restart_staples_from_disk(
    site: Site,
) -> None:
    with site.authority.responder(minutes=1), site.server as server:
        eventually(lambda: staples(site), "a response")
    with site.server as server:
        assert staples(site), "from disk, at the first handshake after the restart"
        # Most of a minute later it is near its end; no handshake fails before or after.
        eventually(lambda: NONE in asked(server), "the response comes to its end", seconds=90)
        eventually(lambda: "nothing is stapled any more" in server.log, "line in the log")
        assert "no OCSP response is stapled" in server.mailfront("status").stderr
        failed = [line for line in server.log.splitlines() if "handshake:" in line]
        assert failed == []
        with site.authority.responder():
            eventually(lambda: staples(site), "the responder is back", seconds=90)


def test_without_a_responder_from_the_start_everything_is_served(site: Site) -> None:
    with site.server as server:
        assert NONE in asked(server)
        eventually(lambda: "no new OCSP response" in server.log, "line in the log")
        assert server.mailfront("status", "--strict").returncode == 0


def test_a_new_certificate_is_stapled_live_and_a_reload_loses_nothing(site: Site) -> None:
    with site.authority.responder(), site.server as server:
        eventually(lambda: staples(site), "a response")
        assert server.mailfront("reload").returncode == 0
        assert staples(site)
        key, leaf = site.authority.issue("renewed")
        site.replace("ec", key, leaf)
        eventually(
            lambda: f"Serial Number: {leaf.serial_number:X}" in asked(server), "its own response"
        )
        set_option(server.root.msg_conf, "local.ssl.ocspstapling", "no")
        eventually(lambda: NONE in asked(server), "turned off")
        set_option(server.root.msg_conf, "local.ssl.ocspstapling", "yes")
        eventually(lambda: staples(site), "turned on")


def test_a_revoked_certificate_is_told_to_everybody(site: Site) -> None:
    site.authority.revoke("ec")
    with site.authority.responder(), site.server as server:
        eventually(lambda: "Cert Status: revoked" in asked(server), "the bad news")
        assert "ec it is REVOKED since" in server.log
        status = server.mailfront("status", "--strict")
        assert status.returncode == 1
        assert "REVOKED" in status.stderr


def test_a_certificate_that_demands_a_response_is_a_problem_without_one(site: Site) -> None:
    key, leaf = site.authority.issue("demanding", section="demanding")
    assert must_staple(leaf)
    site.replace("ec", key, leaf)
    with site.server as server:
        eventually(lambda: "clients refuse it" in server.mailfront("status").stderr, "problem")
        with site.authority.responder():
            eventually(lambda: staples(site), "a response", seconds=60)
        assert server.mailfront("status", "--strict").returncode == 0


def test_two_thousand_handshakes_leave_nothing_behind(site: Site) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader = stapling_bridge.StapleReader()
    assert reader.bind(context)

    def connect(server: MailServer, times: int) -> None:
        for _ in range(times):
            reader.response = b""
            address = (LOOPBACK, server.ports["imaps"])
            plain = socket.create_connection(address, timeout=30)
            with context.wrap_socket(plain):
                assert reader.response

    site.server.choose_ports()
    site.server.set_option("service.handshakesperminute", "0")
    with site.authority.responder(), site.server as server:
        eventually(lambda: staples(site), "a response")
        connect(server, 500)
        before = resident_kibibytes(server.pid)
        connect(server, 2000)
        # Two thousand responses have some 3 MiB.
        assert resident_kibibytes(server.pid) - before < 1500


def resident_kibibytes(pid: int) -> int:
    """What a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4
