"""Client certificates of a tree that `openssl ca` made, presented by openssl and curl to the
running server, which follows CAs and revocation lists while it runs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import set_option
from tests.support.clients import curl, run
from tests.support.openssl_client_ca import OpensslClientAuthority
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer, run_command
from tests.support.waiting import eventually

FOLLOWS = 2.0  # seconds within which a running server takes a change over
VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
PAST = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")


class Site:
    """A running server and a tree of CAs of whose root it knows."""

    def __init__(self, server: MailServer, directory: Path) -> None:
        self.server = server
        self.root = OpensslClientAuthority(directory / "root", "Example Root")
        self.issuing = OpensslClientAuthority(directory / "issuing", "Issuing CA", self.root)
        self.strangers = OpensslClientAuthority(directory / "strangers", "Strangers CA")

    def msgcert(self, *arguments: object) -> str:
        home = str(self.server.root.path)
        finished = run_command("msgcert", "--home", home, *map(str, arguments))
        assert finished.returncode == 0, finished.stderr
        return finished.stdout + finished.stderr

    def connect(self, *arguments: str, port: str = "imaps") -> subprocess.CompletedProcess[str]:
        """Connect with `openssl s_client`, read the greeting, and log out."""
        openssl = str(require_program("openssl"))
        to = ["s_client", "-connect", f"{LOOPBACK}:{self.server.ports[port]}"]
        return run([openssl, *to, "-ign_eof", *arguments], text_input="a logout\r\nquit\r\n")

    def last_line(self, field: str, before: int) -> str:
        """The line of the connection log that was written since, once it is there."""
        lines: list[str] = []

        def written() -> bool:
            new = self.server.log[before:].splitlines()
            lines[:] = [line for line in new if "mailfront.connection" in line and field in line]
            return bool(lines)

        eventually(written, f"a line with {field}")
        return lines[-1]

    def asks(self, port: str) -> str:
        """What status says that the port asks for."""
        answer = json.loads(self.server.mailfront("status", "--json").stdout)
        told = {one["name"]: one["client_certificates"] for one in answer["ports"]}
        found = told[port]
        assert isinstance(found, str)
        return found


@pytest.fixture(scope="module")
def site(server_root_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("clients")
    with MailServer.copied(server_root_template, directory / "home") as server:
        site = Site(server, directory)
        assert site.asks("imaps") == ""
        assert "No client certificate CA names sent" in site.connect().stdout
        site.msgcert("add-cert", "-C", "--trust", "client", "Example Root", site.root.certificate)
        eventually(lambda: bool(site.asks("imaps")), "the CA is asked for", seconds=FOLLOWS)
        yield site


@VERSIONS
def test_the_request_names_the_ca(site: Site, version: str) -> None:
    said = site.connect(version).stdout
    assert re.search(r"Acceptable client certificate CA names\nCN ?= ?Example Root\n", said)
    assert "* BYE" in said


def test_submission_asks_and_the_port_for_other_servers_does_not(site: Site) -> None:
    names = "CN ?= ?Example Root"
    assert re.search(names, site.connect("-starttls", "smtp", port="submission").stdout)
    assert not re.search(names, site.connect("-starttls", "smtp", port="smtp").stdout)
    assert site.asks("submission") == "request: CN=Example Root"
    assert site.asks("smtp") == ""
    shown = site.server.mailfront("status").stdout
    assert "client certificates on submission, submissions, imap, imaps" in shown


@VERSIONS
@pytest.mark.parametrize("family", ["ec", "rsa", "ed25519"])
def test_a_certificate_below_an_intermediate_is_verified(
    site: Site, version: str, family: str
) -> None:
    before = len(site.server.log)
    presenting = site.issuing.issue(f"{family}{version[1:]}", family=family)
    assert "* BYE" in site.connect(version, *presenting).stdout
    line = site.last_line("cert=", before)
    assert f'cert="CN={family}{version[1:]}" certsha256=' in line
    assert "certfault" not in line


@VERSIONS
def test_a_certificate_of_strangers_goes_on_without_identity(site: Site, version: str) -> None:
    before = len(site.server.log)
    presenting = site.strangers.issue(f"stranger{version[1:]}")
    assert "* BYE" in site.connect(version, *presenting).stdout
    assert 'certfault="no CA that is trusted for clients issued it' in site.last_line(
        "certfault=", before
    )


@VERSIONS
def test_a_revoked_certificate_identifies_nobody_within_two_seconds(
    site: Site, version: str
) -> None:
    name = f"leaver{version[1:]}"
    presenting = site.issuing.issue(name)
    before = len(site.server.log)
    site.connect(version, *presenting)
    assert "certfault" not in site.last_line(f'cert="CN={name}"', before)
    site.issuing.revoke(name)
    ca, crl = site.issuing.certificate, site.issuing.revocation_list()
    assert "added the list of CN=Issuing CA" in site.msgcert("add-crl", ca, crl)
    assert "CN=Issuing CA" in site.msgcert("list-crls")

    def is_known() -> bool:
        mark = len(site.server.log)
        site.connect(version, *presenting)
        return 'certfault="it is revoked"' in site.last_line(f'cert="CN={name}"', mark)

    eventually(is_known, "the list is taken over", seconds=FOLLOWS)


def test_an_older_list_is_refused(site: Site) -> None:
    ca = site.root.certificate
    older = site.root.revocation_list().read_bytes()
    site.msgcert("add-crl", "Example Root", site.root.revocation_list())
    stale = site.root.directory / "stale.pem"
    stale.write_bytes(older)
    home = str(site.server.root.path)
    refused = run_command("msgcert", "--home", home, "add-crl", str(ca), str(stale))
    assert refused.returncode == 1
    assert "is older than the present one" in refused.stderr
    site.msgcert("remove-crl", "Example Root", "--yes")


@VERSIONS
def test_a_resumed_session_is_judged_again(site: Site, version: str, tmp_path: Path) -> None:
    name = f"resuming{version[1:]}"
    presenting = site.issuing.issue(name)
    session = str(tmp_path / "session.pem")
    site.connect(version, *presenting, "-sess_out", session)
    before = len(site.server.log)
    assert "Reused" in site.connect(version, *presenting, "-sess_in", session).stdout
    line = site.last_line(f'cert="CN={name}"', before)
    assert "resumed=yes" in line
    assert "certfault" not in line


@VERSIONS
@pytest.mark.parametrize(
    ("bad", "alert", "reason"),
    [
        ("none", None, "client has no certificate"),
        ("expired", "certificate expired", "client's certificate has expired"),
        ("strangers", "unknown ca", "client's certificate is of an unknown CA"),
        ("server's", "unsupported certificate", "client's certificate is not for TLS clients"),
    ],
)
def test_where_a_certificate_is_required_others_get_the_alert_that_fits(
    site: Site, version: str, bad: str, alert: str | None, reason: str
) -> None:
    option(site, "service.pop.clientauth", "require")
    eventually(lambda: site.asks("pop3s").startswith("require"), "POP3 requires it")
    name = f"{bad}{version[1:]}".replace("'", "")
    presenting: list[str] = []
    if bad != "none":
        issuer = site.strangers if bad == "strangers" else site.issuing
        section = "server" if bad == "server's" else "client"
        dates = PAST if bad == "expired" else ()
        presenting = issuer.issue(name, section=section, dates=dates)
    before = len(site.server.log)
    said = site.connect(version, *presenting, port="pops")
    assert "+OK" not in said.stdout
    none = "certificate required" if version == "-tls1_3" else "handshake failure"
    assert f"alert {alert or none}" in said.stderr
    line = site.last_line("service=pop3s", before)
    assert f'end="handshake: {reason}"' in line
    assert ("certfault=" in line) is (bad != "none")
    good = site.issuing.issue(f"good{name}")
    assert "+OK" in site.connect(version, *good, port="pops").stdout
    option(site, "service.pop.clientauth", "request")
    eventually(lambda: site.asks("pop3s").startswith("request"), "POP3 asks only")


def test_an_invalid_certificate_may_end_the_handshake_by_option(site: Site) -> None:
    presenting = site.strangers.issue("meaningless")
    option(site, "local.ssl.invalidclientcert", "alert")
    eventually(
        lambda: "alert unknown ca" in site.connect(*presenting).stderr, "the option is followed"
    )
    assert "* BYE" in site.connect().stdout
    option(site, "local.ssl.invalidclientcert", "password")
    eventually(lambda: "* BYE" in site.connect(*presenting).stdout, "the option is followed")


def test_curl_logs_in_by_password_with_a_certificate_that_means_nothing(
    site: Site, tmp_path: Path
) -> None:
    site.strangers.issue("curl")
    where = site.strangers.directory
    url = f"imaps://{LOOPBACK}:{site.server.ports['imaps']}/INBOX;UIDVALIDITY=1"
    presenting = ["--cert", str(where / "curl.pem"), "--key", str(where / "curl.key")]
    password = site.server.password(ALICE)
    listed = curl(tmp_path, ALICE, password, url.partition(";")[0], *presenting)
    assert listed.returncode == 0, listed.stderr


def external(site: Site, presenting: list[str]) -> str:
    """Log in by AUTHENTICATE EXTERNAL; return what the server says of it."""
    openssl = str(require_program("openssl"))
    to = ["s_client", "-connect", f"{LOOPBACK}:{site.server.ports['imaps']}", "-ign_eof"]
    said = run([openssl, *to, *presenting], text_input="a authenticate EXTERNAL =\r\nb logout\r\n")
    found = re.search("^a .*$", said.stdout, re.MULTILINE)
    assert found is not None, said.stdout
    return found[0]


def test_a_login_waits_for_the_responder_that_the_certificate_names(site: Site) -> None:
    alice, bob = (site.issuing.issue(name, section="questionable") for name in ("alice", "bob"))
    in_force(site, "local.ssl.clientocsp", "hard")
    assert "a NO" in external(site, alice)
    in_force(site, "local.ssl.clientocsp", "soft")
    assert "a OK" in external(site, alice)
    in_force(site, "local.ssl.clientocsp", "hard")
    site.issuing.revoke("bob")
    renewed = site.issuing.issue("alice", section="questionable")
    with site.issuing.responder():
        assert "a OK" in external(site, renewed)
        assert "a NO" in external(site, bob)
    # The answers count without the responder too.
    assert "a OK" in external(site, renewed)
    assert "a NO" in external(site, bob)
    in_force(site, "local.ssl.clientocsp", "off")
    assert "a OK" in external(site, bob)


def in_force(site: Site, name: str, value: str) -> None:
    """Change an option, and return once the server follows."""
    option(site, name, value)
    assert site.server.mailfront("reload").returncode == 0


def test_without_any_trusted_ca_a_requirement_is_warned_of(
    server_root_template: Path, tmp_path: Path
) -> None:
    server = MailServer.copied(
        server_root_template, tmp_path / "home", {"service.imap.clientauth": "require"}
    )
    server.choose_ports()
    checked = server.mailfront("check")
    assert "service.imap.clientauth is require, and no CA is trusted" in checked.stderr


def option(site: Site, name: str, value: str) -> None:
    """Change an option of the running server."""
    root: ServerRoot = site.server.root
    set_option(root.msg_conf, name, value)
