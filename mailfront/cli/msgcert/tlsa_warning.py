"""Before a key is replaced: whether published TLSA records name it (RFC 7671 section 8.4).

Servers that keep to DANE deliver nothing to a server whose key is in none of its records. So a
renewal with another key looks up the records of this server's names, and warns. Where the DNS does
not answer, the renewal goes on and says so.
"""

from __future__ import annotations

import argparse
import asyncio

from cryptography import x509

from mailfront.cli.msgcert.access import server_root
from mailfront.cli.output import print_message
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.errors import DnsUnavailableError, OperatorError
from mailfront.keystore.formats import certificate_public_key_der
from mailfront.tls.certificate_names import names_of

SECONDS = 5.0
_MOST_NAMES = 20
# RFC 6761, RFC 2606: no server outside knows a name below these.
_NOWHERE = ("test", "example", "invalid", "localhost", "local")


def warn_about_tlsa(
    arguments: argparse.Namespace,
    nickname: str,
    former: x509.Certificate,
    renewed: x509.Certificate,
) -> None:
    """Print a warning for each name of ours whose records are for the former key alone."""
    if certificate_public_key_der(former) == certificate_public_key_der(renewed):
        return
    root = server_root(arguments)
    try:
        configuration = load_configuration(root.msg_conf)
    except (OperatorError, OSError):
        # A database without a server root around it serves nobody.
        return
    from mailfront.server.certificates import nicknames_of

    if nickname not in nicknames_of(configuration, "imta"):
        return
    hosts = _hosts(configuration, former)
    if hosts:
        asyncio.run(_look(configuration, hosts, nickname, former, renewed))


def _hosts(configuration: Configuration, former: x509.Certificate) -> list[str]:
    """The names under which servers may know us, the likeliest first."""
    named = [(configuration.string("service.hostname") or machine_name()).lower()]
    named += sorted(name for name in names_of(former) if not name.startswith("*."))
    asks_own = bool(configuration.string("dns.servers"))
    return [
        name
        for name in dict.fromkeys(named)
        if "." in name and (asks_own or name.rpartition(".")[2] not in _NOWHERE)
    ][:_MOST_NAMES]


async def _look(
    configuration: Configuration, hosts: list[str], nickname: str,
    former: x509.Certificate, renewed: x509.Certificate,
) -> None:  # fmt: skip
    from mailfront.outgoing.published_tlsa import orphaned_records, tlsa_name
    from mailfront.server.sending import build_resolver

    ports = dict.fromkeys((25, configuration.integer("service.smtp.port")))
    unknown = ""
    try:
        resolver = build_resolver(configuration)
        async with asyncio.timeout(SECONDS):
            for name in (tlsa_name(host, port) for host in hosts for port in ports):
                try:
                    orphans = await orphaned_records(resolver, name, former, renewed)
                except DnsUnavailableError as failure:
                    unknown = unknown or str(failure)
                    continue
                for record in orphans:
                    print_message(
                        f"WARNING: {nickname}: the TLSA record at {name} names the former key, "
                        f"and none the new one ({record}): servers that keep to DANE deliver "
                        "nothing until `mailfront tlsa` is published"
                    )
    except TimeoutError:
        unknown = unknown or "the DNS does not answer"
    except OperatorError as failure:
        unknown = str(failure)
    if unknown:
        print_message(f"note: whether TLSA records name the former key is unknown: {unknown}")
