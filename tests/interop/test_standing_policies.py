"""Standing policies from end to end: one server publishes an MTA-STS policy, another one fetches
it, keeps to it, signs by DKIM what it sends to a Postfix, and reports how TLS went."""

from __future__ import annotations

import email
import email.policy
import gzip
import json
import re
import smtplib
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dkim
import pytest

from tests.conftest import NewServer
from tests.support.dnssec import PLAIN, SIGNED, DnssecSite
from tests.support.issuing import Issued, Issuer, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.postfix import Postfix
from tests.support.server import ALICE, MailServer, run_command
from tests.support.waiting import eventually

FITTING, MISFIT, READERS = f"fitting.{PLAIN}", f"misfit.{PLAIN}", f"readers.{PLAIN}"
SLOWLY = 90.0


@dataclass
class World:
    """The Postfix of the other domains, their DNS, and who issued all certificates."""

    postfix: Postfix
    dns: DnssecSite
    issuer: Issuer
    root: Path
    port: int


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    tmp_path.chmod(0o755)
    issuer = Issuer()
    issued = issuer.issue(f"mx.{PLAIN}", f"other.{PLAIN}")
    chain = certificate_pem_file(tmp_path / "chain.pem", issued.chain)
    key = key_pem_file(tmp_path / "key.pem", issued.key)
    (port,) = free_ports(1)
    zone = [f"mx A {LOOPBACK}", f"other A {LOOPBACK}", "readers MX 10 mx"]
    for name, exchanger in (("fitting", "mx"), ("misfit", "other")):
        zone += [
            f"{name} MX 10 {exchanger}",
            f"mta-sts.{name} A {LOOPBACK}",
            f'_mta-sts.{name} TXT "v=STSv1; id=20261123"',
            f'_smtp._tls.{name} TXT "v=TLSRPTv1; rua=mailto:tls@{READERS}"',
        ]
    services = (
        f"{LOOPBACK}:{port} inet n - n - - smtpd -o smtpd_tls_cert_file={chain} "
        f"-o smtpd_tls_key_file={key} -o smtpd_tls_security_level=may\n"
    )
    extra = f"mydestination = {FITTING}, {MISFIT}, {READERS}\nlocal_recipient_maps =\n"
    root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])
    with (
        DnssecSite({PLAIN: zone, SIGNED: []}) as dns,
        Postfix(extra=extra, services=services) as postfix,
    ):
        yield World(postfix, dns, issuer, root, port)


def install(server: MailServer, nickname: str, issued: Issued, directory: Path) -> None:
    chain = certificate_pem_file(directory / f"{nickname}.pem", issued.chain)
    key = key_pem_file(directory / f"{nickname}.key", issued.key)
    done = run_command(
        "msgcert", "import-cert", nickname, str(chain), "--key", str(key),
        "--home", str(server.root.path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def sender_of(world: World, new_server: NewServer, policy_port: int) -> MailServer:
    server = new_server(
        {
            "dns.servers": world.dns.resolver,
            "mtasts.port": str(policy_port),
            "tlsreport.enable": "yes",
            "tlsreport.delay": "0",
            "dkim.selectors": "example.test:r1,example.test:e1",
        },
        name="sender",
    )
    trusted = run_command(
        "msgcert", "add-cert", "-C", "Example-Root", str(world.root),
        "--home", str(server.root.path),
    )  # fmt: skip
    assert trusted.returncode == 0, trusted.stderr
    for selector, algorithm in (("r1", "rsa-2048"), ("e1", "ed25519")):
        made = server.mailfront(
            "dkim", "create", "example.test", selector, "--algorithm", algorithm
        )
        assert made.returncode == 0, made.stderr
    server.root.imta_cnf.write_text(
        f".   $U%$H@out-daemon\n\nl\nlocalhost\n\ntcp_out smtp mx maytls port {world.port}\n"
        "out-daemon\n"
    )
    return server


def send(server: MailServer, *recipients: str) -> None:
    context = ssl._create_unverified_context()
    with smtplib.SMTP_SSL(
        LOOPBACK, server.ports["submissions"], timeout=60, context=context
    ) as session:
        session.login(ALICE, server.password(ALICE))
        letter = f"From: Alice <{ALICE}>\r\nSubject: signed\r\n\r\nHello  world \r\n\r\n\r\n"
        assert session.sendmail(ALICE, recipients, letter) == {}


def taken(world: World, content: bytes) -> bytes:
    """The message that the Postfix took, from our first field on, with line ends as it had."""
    printed = world.postfix.message(content)
    start = printed.index(b"DKIM-Signature:")
    end = printed.index(b"*** HEADER EXTRACTED", start)
    return printed[start:end].replace(b"\n", b"\r\n")


def outcome(server: MailServer, domain: str) -> str:
    lines = [line for line in server.log.splitlines() if "outcome=" in line and domain in line]
    return lines[-1] if lines else ""


def dkim_records(server: MailServer) -> dict[str, str]:
    records = {}
    for selector in ("r1", "e1"):
        line = server.mailfront("dkim", "record", "example.test", selector).stdout
        records[line.partition(". IN")[0]] = "".join(re.findall(r'"([^"]*)"', line))
    return records


def opendkim(directory: Path, content: bytes, records: dict[str, str]) -> str:
    """What OpenDKIM says of a message, with these records for a DNS."""
    zone, settings, letter = (directory / name for name in ("dkim.dns", "dkim.conf", "letter"))
    zone.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
    settings.write_text(f"Mode v\nTestDNSData {zone}\nSyslog no\n")
    letter.write_bytes(content)
    done = subprocess.run(
        [require_program("opendkim"), "-f", "-x", settings, "-t", letter, "-vv"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


def test_policies_are_kept_to_mail_is_signed_and_tls_reported(
    world: World, new_server: NewServer, tmp_path: Path
) -> None:
    publisher = new_server(
        {
            "service.http.mtasts.mode": "enforce",
            "service.http.mtasts.mx": f"mx.{PLAIN}",
            "service.http.mtasts.domains": f"{FITTING},{MISFIT}",
            "local.http.sslnicknames": "policy-host",
        },
        name="publisher",
    )
    policy_host = world.issuer.issue(f"mta-sts.{FITTING}", f"mta-sts.{MISFIT}")
    install(publisher, "policy-host", policy_host, tmp_path)
    with publisher:
        server = sender_of(world, new_server, publisher.ports["https"])
        with server:
            send(server, f"carol@{FITTING}", f"carol@{MISFIT}")
            eventually(
                lambda: bool(outcome(server, FITTING) and outcome(server, MISFIT)),
                "the outcome is not in the log", seconds=SLOWLY,
            )  # fmt: skip
            assert "outcome=delivered" in outcome(server, FITTING)
            assert "MTA-STS" in outcome(server, FITTING)
            assert "outcome=deferred" in outcome(server, MISFIT)
            assert "MTA-STS" in outcome(server, MISFIT)

    letter = taken(world, b"Subject: signed")
    records = dkim_records(server)
    for index in (0, 1):
        verdict = dkim.DKIM(letter).verify(
            idx=index, dnsfunc=lambda name, timeout: records[name.decode().rstrip(".")].encode()
        )
        assert verdict
    said = opendkim(tmp_path, letter, records)
    assert said.count("dkim=pass") == 2, said

    # The day ends: what was counted today is of yesterday.
    with closing(sqlite3.connect(server.root.tls_report_database)) as database:
        database.execute("UPDATE session SET day = date(day, '-1 day')")
        database.commit()
    with server:
        eventually(
            lambda: sum(b"TLS-Report-Domain" in each for each in world.postfix.held()) == 2,
            "the outcome is not in the log", seconds=SLOWLY,
        )  # fmt: skip
    reports = {}
    for domain in (FITTING, MISFIT):
        octets = taken(world, f"TLS-Report-Domain: {domain}".encode())
        assert octets.count(b"d=example.test;") == 2
        message = email.message_from_bytes(octets, policy=email.policy.default)
        content = list(message.iter_parts())[1].get_payload(decode=True)
        assert isinstance(content, bytes)
        reports[domain] = json.loads(gzip.decompress(content))
    (good,) = reports[FITTING]["policies"]
    assert good["policy"]["policy-type"] == "sts"
    assert good["policy"]["mx-host"] == [f"mx.{PLAIN}"]
    assert good["summary"] == {
        "total-successful-session-count": 1,
        "total-failure-session-count": 0,
    }
    (bad,) = reports[MISFIT]["policies"]
    assert bad["summary"]["total-failure-session-count"] >= 1
    assert bad["failure-details"][0]["receiving-mx-hostname"] == f"other.{PLAIN}"


def test_a_renewal_that_leaves_a_published_record_behind_is_warned_of(
    new_server: NewServer,
) -> None:
    server = new_server({})
    home = str(server.root.path)
    server.set_option("service.hostname", f"mail.{SIGNED}")
    name, _, rest = server.mailfront("tlsa").stdout.partition(". IN TLSA ")
    published = f"{name}. TLSA {rest.partition(' ;')[0]}"
    renewal = ["renew-selfsign-cert", "smtp-cert", "--home", home]
    with DnssecSite({SIGNED: [published]}) as dns:
        server.set_option("dns.servers", dns.resolver)
        same = run_command("msgcert", *renewal)
        assert (same.returncode, "TLSA" in same.stderr) == (0, False)
        other = run_command("msgcert", *renewal, "--new-key")
    assert other.returncode == 0
    assert f"WARNING: smtp-cert: the TLSA record at _25._tcp.mail.{SIGNED}" in other.stderr
    away = run_command("msgcert", *renewal, "--new-key")
    assert away.returncode == 0
    assert "is unknown" in away.stderr
