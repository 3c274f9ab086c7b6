"""What becomes of mail to a real Postfix: its certificates and DNS records, by our demands.

The zones are signed by Knot and validated by Unbound, all on loopback.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailfront.channels.channel import Demand
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.outgoing.delivery_result import Outcome, RecipientResult
from mailfront.outgoing.resolver import Resolver, name_servers
from mailfront.outgoing.transport_policy import PolicyType, ResultType, StsMode, StsPolicy
from tests.support.dnssec import FORGED, PLAIN, SIGNED, DnssecSite
from tests.support.issuing import Issued, Issuer, certificate_pem_file, key_pem_file
from tests.support.outgoing import (
    CONTENT,
    RECIPIENT,
    Hop,
    Policies,
    Reports,
    channel,
    deliver,
    deliverer,
    job,
)
from tests.support.ports import LOOPBACK, free_ports
from tests.support.postfix import Postfix

GOOD, SELF_SIGNED, EXPIRED, OTHER_NAME, WITHOUT_TLS = (
    "good", "self-signed", "expired", "other name", "without TLS",
)  # fmt: skip
HOSTS = ("ee", "ta", "wrong", "pkix", "bare", "lame", "sts")


@dataclass
class Site:
    """Postfix with a port for each certificate, and the DNS."""

    postfix: Postfix
    dns: DnssecSite
    issuer: Issuer
    ports: dict[str, int]

    async def send(
        self,
        port: str,
        domain: str,
        demand: Demand = Demand.MAY,
        *,
        policy_map: str = "",
        policies: Policies | None = None,
        reports: Reports | None = None,
        options: MailOptions | None = None,
        content: bytes = CONTENT,
    ) -> RecipientResult:
        """Send a message to `domain`, whose servers answer at `port`."""
        servers = name_servers(self.dns.resolver)
        sending = deliverer(
            Resolver(lambda: servers), (self.issuer.root,), policies=policies, reports=reports,
            policy_map=policy_map,
        )  # fmt: skip
        hop = Hop(channel(demand, self.ports[port]), domain)
        try:
            return await deliver(sending, job(hop, options=options, content=content))
        finally:
            sending.close()


def public_key_digest(issued: Issued, number: int = 0) -> str:
    key = issued.chain[number].public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory: Path = tmp_path_factory.mktemp("certificates")
    directory.chmod(0o755)
    issuer, stranger = Issuer(), Issuer()
    names = [f"{host}.{zone}" for host in HOSTS for zone in (SIGNED, PLAIN, FORGED)]
    long_ago = datetime.now(UTC) - timedelta(days=30)
    certificates = {
        GOOD: issuer.issue(*names),
        SELF_SIGNED: stranger.issue(*names),
        EXPIRED: issuer.issue(*names, begins=long_ago, days=10),
        OTHER_NAME: issuer.issue("elsewhere.test"),
    }
    ports = dict(zip((*certificates, WITHOUT_TLS), free_ports(len(certificates) + 1), strict=True))
    services = f"{LOOPBACK}:{ports[WITHOUT_TLS]} inet n - n - - smtpd\n"
    for number, (name, issued) in enumerate(certificates.items()):
        chain = certificate_pem_file(directory / f"{number}.pem", issued.chain)
        key = key_pem_file(directory / f"{number}.key", issued.key)
        services += (
            f"{LOOPBACK}:{ports[name]} inet n - n - - smtpd -o smtpd_tls_cert_file={chain} "
            f"-o smtpd_tls_key_file={key} -o smtpd_tls_security_level=may\n"
        )
    zone = []
    for host in HOSTS:
        zone += [f"{host} MX 10 {host}", f"{host} A {LOOPBACK}"]
    for name, issued in certificates.items():
        leaf, anchor = public_key_digest(issued), public_key_digest(issued, 1)
        at = f"_{ports[name]}._tcp"
        signed = [
            f"{at}.ee TLSA 3 1 1 {leaf}",
            f"{at}.ta TLSA 2 1 1 {anchor}",
            f"{at}.wrong TLSA 3 1 1 {'ab' * 32}",
            f"{at}.pkix TLSA 1 1 1 {leaf}",
            f"{at}.lame CNAME nowhere.{FORGED}.",
        ]
        zone += signed
    zone += [
        f"_{ports[WITHOUT_TLS]}._tcp.ee TLSA 3 1 1 {'ab' * 32}",
        "null MX 0 .",
        "alias MX 10 alias-of-ee", "alias-of-ee CNAME ee",
        "loops MX 5 us.test.", "loops MX 10 ee",
    ]  # fmt: skip
    extra = "smtpd_tls_loglevel = 1\n"
    records = {SIGNED: zone, PLAIN: zone, FORGED: zone}
    with DnssecSite(records) as dns, Postfix(extra=extra, services=services) as postfix:
        yield Site(postfix, dns, issuer, ports)


DELIVERED, DEFERRED, FAILED = Outcome.DELIVERED, Outcome.DEFERRED, Outcome.FAILED
MAY, MUST, NEVER = Demand.MAY, Demand.MUST, Demand.NEVER

# Which demand meets which server: what becomes of the mail, in TLS or clear, verified by whom.
MATRIX = [
    # The channel alone.
    (MAY, GOOD, f"bare.{PLAIN}", DELIVERED, "TLSv1.3", "verified by CA"),
    (MAY, SELF_SIGNED, f"bare.{PLAIN}", DELIVERED, "TLSv1.3", "not verified"),
    (MAY, EXPIRED, f"bare.{PLAIN}", DELIVERED, "TLSv1.3", "not verified"),
    (MAY, OTHER_NAME, f"bare.{PLAIN}", DELIVERED, "TLSv1.3", "not verified"),
    (MAY, WITHOUT_TLS, f"bare.{PLAIN}", DELIVERED, "clear", "maytls"),
    (MUST, GOOD, f"bare.{PLAIN}", DELIVERED, "TLSv1.3", "verified by CA"),
    (MUST, SELF_SIGNED, f"bare.{PLAIN}", DEFERRED, "", "musttls"),
    (MUST, EXPIRED, f"bare.{PLAIN}", DEFERRED, "", "musttls"),
    (MUST, OTHER_NAME, f"bare.{PLAIN}", DEFERRED, "", "musttls"),
    (MUST, WITHOUT_TLS, f"bare.{PLAIN}", DEFERRED, "", "musttls"),
    (NEVER, GOOD, f"ee.{SIGNED}", DELIVERED, "clear", "notls"),
    # DANE.
    (MAY, SELF_SIGNED, f"ee.{SIGNED}", DELIVERED, "TLSv1.3", "verified by DANE 3 1 1"),
    (MAY, EXPIRED, f"ee.{SIGNED}", DELIVERED, "TLSv1.3", "verified by DANE 3 1 1"),
    (MAY, OTHER_NAME, f"ee.{SIGNED}", DELIVERED, "TLSv1.3", "verified by DANE 3 1 1"),
    (MAY, WITHOUT_TLS, f"ee.{SIGNED}", DEFERRED, "", "TLSA"),
    (MUST, SELF_SIGNED, f"ee.{SIGNED}", DELIVERED, "TLSv1.3", "verified by DANE 3 1 1"),
    (MAY, SELF_SIGNED, f"ta.{SIGNED}", DELIVERED, "TLSv1.3", "verified by DANE 2 1 1"),
    (MAY, EXPIRED, f"ta.{SIGNED}", DEFERRED, "", "TLSA"),
    (MAY, OTHER_NAME, f"ta.{SIGNED}", DEFERRED, "", "TLSA"),
    (MAY, GOOD, f"wrong.{SIGNED}", DEFERRED, "", "TLSA"),
    (MUST, GOOD, f"wrong.{SIGNED}", DEFERRED, "", "TLSA"),
    (MAY, SELF_SIGNED, f"pkix.{SIGNED}", DELIVERED, "TLSv1.3", "none can be used"),
    (MAY, WITHOUT_TLS, f"bare.{SIGNED}", DELIVERED, "clear", "maytls"),
    (MAY, GOOD, f"lame.{SIGNED}", DEFERRED, "", ""),
    (MAY, GOOD, f"wrong.{PLAIN}", DELIVERED, "TLSv1.3", "maytls"),
    (MAY, GOOD, f"ee.{FORGED}", DEFERRED, "", ""),
    (MAY, SELF_SIGNED, f"alias.{SIGNED}", DELIVERED, "TLSv1.3", "verified by DANE 3 1 1"),
    # Where mail cannot go at all.
    (MAY, GOOD, f"null.{SIGNED}", FAILED, "", ""),
    (MAY, GOOD, f"nobody.{SIGNED}", FAILED, "", ""),
    (MAY, GOOD, f"loops.{SIGNED}", FAILED, "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("demand", "server", "domain", "outcome", "tls", "policy"), MATRIX)
async def test_the_demand_decides_what_a_server_must_be(
    site: Site, demand: Demand, server: str, domain: str, outcome: Outcome, tls: str, policy: str
) -> None:
    result = await site.send(server, domain, demand)
    assert (result.outcome, result.tls.partition(" ")[0]) == (outcome, tls), result
    assert policy in result.policy, result


@pytest.mark.parametrize(
    ("level", "server", "host", "outcome", "tls"),
    [
        ("none", GOOD, "ee", DELIVERED, "clear"),
        ("may", SELF_SIGNED, "wrong", DELIVERED, "TLSv1.3"),
        ("encrypt", SELF_SIGNED, "wrong", DELIVERED, "TLSv1.3"),
        ("encrypt", WITHOUT_TLS, "bare", DEFERRED, ""),
        ("dane-only", GOOD, "bare", DEFERRED, ""),
        ("dane-only", SELF_SIGNED, "ee", DELIVERED, "TLSv1.3"),
        ("dane", WITHOUT_TLS, "bare", DELIVERED, "clear"),
        ("verify", GOOD, "bare", DELIVERED, "TLSv1.3"),
        ("verify", SELF_SIGNED, "bare", DEFERRED, ""),
        ("verify", OTHER_NAME, "bare", DEFERRED, ""),
        ("verify match=elsewhere.test", OTHER_NAME, "bare", DELIVERED, "TLSv1.3"),
        ("secure", GOOD, "bare", DELIVERED, "TLSv1.3"),
        (f"fingerprint match={'ab' * 32}", GOOD, "bare", DEFERRED, ""),
    ],
)
async def test_a_line_of_the_policy_map_is_an_exception_for_one_destination(
    site: Site, level: str, server: str, host: str, outcome: Outcome, tls: str
) -> None:
    domain = f"{host}.{SIGNED}"
    result = await site.send(server, domain, policy_map=f"{domain} {level}\n")
    assert (result.outcome, result.tls.partition(" ")[0]) == (outcome, tls), result


@pytest.mark.parametrize(
    ("mode", "server", "patterns", "outcome", "reported"),
    [
        (StsMode.ENFORCE, GOOD, (f"*.{PLAIN}",), DELIVERED, ResultType.SUCCESS),
        (StsMode.ENFORCE, SELF_SIGNED, (f"sts.{PLAIN}",), DEFERRED,
         ResultType.CERTIFICATE_NOT_TRUSTED),
        (StsMode.ENFORCE, EXPIRED, (f"sts.{PLAIN}",), DEFERRED, ResultType.CERTIFICATE_EXPIRED),
        (StsMode.ENFORCE, OTHER_NAME, (f"sts.{PLAIN}",), DEFERRED,
         ResultType.CERTIFICATE_HOST_MISMATCH),
        (StsMode.ENFORCE, WITHOUT_TLS, (f"sts.{PLAIN}",), DEFERRED,
         ResultType.STARTTLS_NOT_SUPPORTED),
        (StsMode.ENFORCE, GOOD, ("mx.elsewhere.test",), DEFERRED, ResultType.VALIDATION_FAILURE),
        (StsMode.TESTING, EXPIRED, (f"sts.{PLAIN}",), DELIVERED, ResultType.CERTIFICATE_EXPIRED),
        (StsMode.TESTING, WITHOUT_TLS, (f"sts.{PLAIN}",), DELIVERED,
         ResultType.STARTTLS_NOT_SUPPORTED),
    ],
)  # fmt: skip
async def test_mta_sts_is_enforced_or_only_reported(
    site: Site, mode: StsMode, server: str, patterns: tuple[str, ...], outcome: Outcome,
    reported: ResultType,
) -> None:  # fmt: skip
    domain = f"sts.{PLAIN}"
    policies = Policies({domain: StsPolicy(domain, mode, patterns)})
    reports = Reports()
    result = await site.send(server, domain, policies=policies, reports=reports)
    assert result.outcome is outcome, result
    assert [(each.policy_type, each.result) for each in reports.results] == [
        (PolicyType.STS, reported)
    ]


async def test_dane_counts_more_than_an_mta_sts_policy_that_does_not_fit(site: Site) -> None:
    domain = f"ee.{SIGNED}"
    policies = Policies({domain: StsPolicy(domain, StsMode.ENFORCE, ("mx.elsewhere.test",))})
    result = await site.send(SELF_SIGNED, domain, policies=policies)
    assert result.outcome is DELIVERED
    assert "verified by DANE 3 1 1" in result.policy


async def test_tls_required_no_passes_over_dane_but_not_over_musttls(site: Site) -> None:
    content = b"TLS-Required: No\r\nSubject: x\r\n\r\nx\r\n"
    domain = f"wrong.{SIGNED}"
    result = await site.send(GOOD, domain, content=content)
    assert (result.outcome, "TLS-Required" in result.policy) == (DELIVERED, True)
    assert (await site.send(GOOD, domain, MUST, content=content)).outcome is DEFERRED


async def test_a_message_with_requiretls_does_not_go_where_the_server_does_not_offer_it(
    site: Site,
) -> None:
    # Postfix 3.7 does not know REQUIRETLS.
    result = await site.send(SELF_SIGNED, f"ee.{SIGNED}", options=MailOptions(require_tls=True))
    assert (result.outcome, result.status) == (FAILED, "5.7.30")


async def test_postfix_sees_tls_and_the_parameters_of_notifications(site: Site) -> None:
    servers = name_servers(site.dns.resolver)
    sending = deliverer(Resolver(lambda: servers), (site.issuer.root,))
    hop = Hop(channel(MUST, site.ports[GOOD]), f"bare.{PLAIN}")
    work = job(
        hop,
        RECIPIENT,
        "nobody@example.test",
        content=b"Subject: seen-by-postfix\r\n\r\n.dot\r\n..two\r\nend\r\n",
        options=MailOptions(return_content="HDRS", envelope_id="seen+2Bhere"),
        recipient_options={
            RECIPIENT: RecipientOptions(frozenset({"SUCCESS"}), "rfc822;first@example.test")
        },
    )
    results = await sending.deliver(work)
    sending.close()
    assert results[RECIPIENT].outcome is DELIVERED
    assert not results[RECIPIENT].relayed
    refused = results["nobody@example.test"]
    assert refused.outcome is FAILED
    assert refused.reply is not None
    assert refused.reply.code == 550
    stored = site.postfix.message(b"seen-by-postfix")
    assert b"\n.dot\n..two\nend\n" in stored
    assert b"envelope_id=seen+here\n" in stored
    assert b"dsn_orig_rcpt=rfc822;first@example.test\n" in stored
    assert "TLS connection established from" in site.postfix.log
