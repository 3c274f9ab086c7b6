"""Scanners and TLS clients that others wrote, against every port in the default profile.

That the demo certificate is self-signed, and so without a CRL, is no fault of the TLS: what the
scanners say about trust is set aside.
"""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.clients import curl, run
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer

# The ports, each with the protocol that is spoken before TLS.
PORTS = {
    "smtp": "smtp",
    "submission": "smtp",
    "submissions": None,
    "imap": "imap",
    "imaps": None,
    "pop": "pop3",
    "pops": None,
    "https": None,
}
every_port = pytest.mark.parametrize("name", PORTS)

# testssl.sh: what is about trust in a self-signed certificate, or about this machine.
ASIDE = {"cert_chain_of_trust", "cert_revocation", "engine_problem", "RC4"}
# WARN is none of its findings: it says that the scanner could not find out.
GRAVE = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
GOOD_GROUPS = {"X25519MLKEM768", "x25519", "secp256r1", "secp384r1"}


@every_port
def test_sslscan_finds_only_what_the_profile_allows(
    server: MailServer, name: str, tmp_path: Path
) -> None:
    sslscan = require_program("sslscan")
    report = tmp_path / "report.xml"
    starttls = PORTS[name]
    arguments = [f"--starttls-{starttls}"] if starttls else []
    scan = run([str(sslscan), f"--xml={report}", *arguments, f"{LOOPBACK}:{server.ports[name]}"])
    assert scan.returncode == 0, scan.stderr
    found = ElementTree.parse(report).getroot()
    enabled = {
        each.get("type", "") + each.get("version", "")
        for each in found.iter("protocol")
        if each.get("enabled") == "1"
    }
    assert enabled == {"tls1.2", "tls1.3"}
    suites = [each.get("cipher", "") for each in found.iter("cipher")]
    assert suites
    assert all(suite.startswith(("TLS_", "ECDHE-")) for suite in suites), suites
    assert all(suite.endswith(("GCM-SHA256", "GCM-SHA384", "GCM_SHA256", "GCM_SHA384",
                               "POLY1305", "POLY1305_SHA256")) for suite in suites)  # fmt: skip
    groups = {(each.get("name") or "").partition(" ")[0] for each in found.iter("group")}
    assert groups <= GOOD_GROUPS
    assert [each.get("vulnerable") for each in found.iter("heartbleed")] == ["0", "0"]
    assert {each.get("supported") for each in found.iter("compression")} <= {"0"}


# testssl.sh makes hundreds of connections from shell: some 45 s per port, both at once.
@pytest.mark.timeout(240)
def test_testssl_finds_nothing_above_low(server: MailServer, tmp_path: Path) -> None:
    program = str(require_program("testssl", "testssl.sh"))

    def scan(name: str) -> tuple[list[str], int]:
        report = tmp_path / f"{name}.json"
        starttls = PORTS[name]
        quick = ["--fast", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none"]
        what = ["-p", "-s", "-S", "-U", "--jsonfile", str(report)]
        arguments = [*quick, *what, *(["-t", starttls] if starttls else [])]
        run([program, *arguments, f"{LOOPBACK}:{server.ports[name]}"], deadline=200)
        findings = json.loads(report.read_text())
        grave = [
            f"{name}: {one['id']} {one['severity']}: {one['finding']}"
            for one in findings
            if one["severity"] in GRAVE and one["id"] not in ASIDE
        ]
        return grave, len(findings)

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(scan, ("imaps", "smtp")))
    assert [grave for grave, _ in results] == [[], []]
    # Unless it stopped early, which would be no success.
    assert all(count > 30 for _, count in results)


@every_port
def test_gnutls_connects(server: MailServer, name: str) -> None:
    program = require_program("gnutls-cli", "gnutls-bin")
    starttls = PORTS[name]
    arguments = [f"--starttls-proto={starttls}"] if starttls else []
    session = run(
        [str(program), "--no-ca-verification", "--port", str(server.ports[name]), *arguments,
         LOOPBACK]
    )  # fmt: skip
    assert session.returncode == 0, session.stderr
    assert "Handshake was completed" in session.stdout
    assert "(TLS1.3" in session.stdout


@every_port
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_openssl_connects(server: MailServer, name: str, version: str) -> None:
    program = require_program("openssl")
    starttls = PORTS[name]
    arguments = ["-starttls", starttls] if starttls else []
    session = run(
        [str(program), "s_client", f"-{version}", *arguments, "-connect",
         f"{LOOPBACK}:{server.ports[name]}"]
    )  # fmt: skip
    assert session.returncode == 0, session.stderr
    assert "Cipher is " in session.stdout
    assert "Cipher is (NONE)" not in session.stdout


@pytest.mark.parametrize("name", [name for name, starttls in PORTS.items() if not starttls])
def test_nss_connects(server: MailServer, name: str) -> None:
    program = require_program("tstclnt", "libnss3-tools")
    # -o takes any certificate, -D uses no database, -Q leaves after the handshake.
    session = run(
        [str(program), "-h", LOOPBACK, "-p", str(server.ports[name]), "-o", "-D", "-Q", "-v"]
    )
    assert session.returncode == 0, session.stderr
    assert "SSL version 3.4 using 128-bit AES-GCM" in session.stderr


@pytest.mark.parametrize("name", [name for name, starttls in PORTS.items() if not starttls])
def test_java_connects(server: MailServer, name: str) -> None:
    program = shutil.which("keytool")
    if program is None:
        pytest.skip("no Java here, and it is not worth 200 MB of packages")
    session = run([program, "-printcert", "-sslserver", f"{LOOPBACK}:{server.ports[name]}"])
    assert session.returncode == 0, session.stdout
    assert "SHA256:" in session.stdout


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("imap", "imap"), ("imaps", "imaps"), ("pop", "pop3"), ("pops", "pop3s"), ("https", "https"),
     ("submission", "smtp"), ("submissions", "smtps")],
)  # fmt: skip
def test_curl_connects(server: MailServer, name: str, scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://{LOOPBACK}:{server.ports[name]}/"
    session = curl(
        tmp_path, ALICE, server.password(ALICE), url, "--ssl-reqd", "--verbose",
        *(["--request", "NOOP"] if scheme.startswith("smtp") else []),
    )  # fmt: skip
    assert session.returncode == 0, session.stderr
    assert "SSL connection using TLSv1.3" in session.stderr
