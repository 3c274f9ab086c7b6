"""A user's mail through the whole server to a Postfix: by `maytls`, `musttls` and DANE, and what
becomes of it where somebody has taken STARTTLS away."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conftest import NewServer
from tests.support.dnssec import PLAIN, SIGNED, DnssecSite
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.ports import LOOPBACK, free_ports
from tests.support.postfix import Postfix
from tests.support.server import ALICE, MailServer, run_command
from tests.support.waiting import eventually

DOMAINS = {
    "may": PLAIN, "must": PLAIN, "dane": SIGNED,
    "may-stripped": PLAIN, "must-stripped": PLAIN, "dane-stripped": SIGNED,
}  # fmt: skip
SLOWLY = 60.0


@dataclass
class Destination:
    """The Postfix of the other domains, its DNS, and the root that issued its certificate."""

    postfix: Postfix
    dns: DnssecSite
    root: Path
    port: int
    stripped_port: int


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Destination]:
    tmp_path.chmod(0o755)
    issuer = Issuer()
    issued = issuer.issue(*(f"{name}.{zone}" for name, zone in DOMAINS.items()))
    chain = certificate_pem_file(tmp_path / "chain.pem", issued.chain)
    key = key_pem_file(tmp_path / "key.pem", issued.key)
    port, stripped = free_ports(2)
    spki = issued.leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    zone = []
    for name in DOMAINS:
        zone += [f"{name} MX 10 {name}", f"{name} A {LOOPBACK}"]
        zone += [
            f"_{each}._tcp.{name} TLSA 3 1 1 {hashlib.sha256(spki).hexdigest()}"
            for each in (port, stripped)
        ]
    services = (
        f"{LOOPBACK}:{port} inet n - n - - smtpd -o smtpd_tls_cert_file={chain} "
        f"-o smtpd_tls_key_file={key} -o smtpd_tls_security_level=may\n"
        f"{LOOPBACK}:{stripped} inet n - n - - smtpd\n"
    )
    extra = (
        f"mydestination = {', '.join(f'{name}.{each}' for name, each in DOMAINS.items())}\n"
        "local_recipient_maps =\nsmtpd_tls_loglevel = 1\nsmtpd_tls_received_header = yes\n"
    )
    root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])
    with (
        DnssecSite({PLAIN: zone, SIGNED: zone}) as dns,
        Postfix(extra=extra, services=services) as postfix,
    ):
        yield Destination(postfix, dns, root, port, stripped)


def write_channels(server: MailServer, destination: Destination) -> None:
    rules, blocks = "", "l\nlocalhost\n\n"
    for name, zone in DOMAINS.items():
        port = destination.stripped_port if "stripped" in name else destination.port
        demand = "musttls" if name.startswith("must") else "maytls"
        rules += f"{name}.{zone}   $U%$D@{name}-daemon\n"
        blocks += f"tcp_{name} smtp mx {demand} port {port}\n{name}-daemon\n\n"
    server.root.imta_cnf.write_text(f"{rules}\n{blocks}")


def test_mail_is_protected_as_demanded_or_waits(
    new_server: NewServer, destination: Destination
) -> None:
    server = new_server({"dns.servers": destination.dns.resolver})
    trusted = run_command(
        "msgcert", "add-cert", "-C", "Example-Root", str(destination.root),
        "--home", str(server.root.path),
    )  # fmt: skip
    assert trusted.returncode == 0, trusted.stderr
    write_channels(server, destination)
    recipients = [f"carol@{name}.{zone}" for name, zone in DOMAINS.items()]
    with server:
        context = ssl._create_unverified_context()
        with smtplib.SMTP_SSL(
            LOOPBACK, server.ports["submissions"], timeout=60, context=context
        ) as session:
            session.login(ALICE, server.password(ALICE))
            letter = f"From: {ALICE}\r\nSubject: protected\r\n\r\nbody\r\n"
            assert session.sendmail(ALICE, recipients, letter) == {}
        eventually(
            lambda: server.log.count("outcome=") >= len(recipients), server.log, seconds=SLOWLY
        )
        outcomes = {}
        for line in server.log.splitlines():
            for name, zone in DOMAINS.items():
                if f"{name}.{zone}" in line and "outcome=" in line:
                    outcomes[name] = line
        for name, said in {
            "may": ("delivered", "tls=\"TLSv1.3 ", "(maytls)"),
            "must": ("delivered", "tls=\"TLSv1.3 ", "verified by CA"),
            "dane": ("delivered", "tls=\"TLSv1.3 ", "verified by DANE 3 1 1"),
            "may-stripped": ("delivered", "tls=clear", "(maytls)"),
            "must-stripped": ("deferred", "STARTTLS", "(musttls)"),
            "dane-stripped": ("deferred", "STARTTLS", "TLSA records"),
        }.items():  # fmt: skip
            assert f"outcome={said[0]}" in outcomes[name], outcomes[name]
            assert all(each in outcomes[name] for each in said[1:]), outcomes[name]
    held = b"".join(destination.postfix.held())
    assert held.count(b"with ESMTPS id") == 3
    assert held.count(b"with ESMTP id") == 1
    assert destination.postfix.log.count("TLS connection established from") == 3
