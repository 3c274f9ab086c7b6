"""`mailfront route`: where mail for an address goes, and why; without one, all rules and channels.

Takes an address, or a domain alone; asks the directory, imta.cnf and the DNS as the server would,
and connects to no server. Prints each step on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mailfront.channels.advice import advice
from mailfront.channels.channel import Channel, Demand
from mailfront.channels.durations import duration_text
from mailfront.channels.imta_cnf import load_channels
from mailfront.channels.rewrite_rule import RewriteRule
from mailfront.channels.table import PORT_CHANNELS, ChannelTable, Route
from mailfront.cli.directory_access import opened_directory
from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    JsonValue,
    print_json,
    print_line,
    print_message,
    print_table,
)
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.directory.lookup import RecipientDirectory
from mailfront.errors import DestinationError, RoutingError
from mailfront.interfaces.message_sink import Destination
from mailfront.outgoing.mta_sts.policy_files import PolicyFiles
from mailfront.outgoing.ourselves import Ourselves
from mailfront.outgoing.policy_map import load_policy_map
from mailfront.outgoing.route_survey import KnownPolicies, SurveyedHost, survey
from mailfront.outgoing.transport_policy import StsPolicy
from mailfront.server.process import host_name
from mailfront.server.sending import build_resolver, policy_map_path

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers

_WIDTH = 11
_NOTHING_KNOWN = KnownPolicies()
EPILOGUE = """\
examples:
  mailfront route ann@example.org            rule, channel, servers, and the TLS that is demanded
  mailfront route example.org --json
  mailfront route                            all rules and channels as they are read

Exit status 0 if mail would be taken, 1 if not. Of MTA-STS, what the server keeps is used; nothing
is fetched."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "route",
        help="show where mail for an address would go, and why",
        description="Show where mail for an address would go: into a mailbox here, or by which "
        "rule and channel of imta.cnf to which servers, and which TLS is demanded of them. No "
        "server is connected to. Without an address: all rules and channels.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("address", metavar="ADDRESS", nargs="?", help="an address or a domain")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Finding:
    """Where an address leads. `user` has the mailbox; `route` is of foreign addresses alone.
    `problem` says why mail would not be taken, or not be delivered now."""

    destination: Destination
    user: str = ""
    route: Route | None = None
    hosts: tuple[SurveyedHost, ...] = ()
    policies: KnownPolicies = _NOTHING_KNOWN
    problem: str = ""


def run(arguments: argparse.Namespace) -> int:
    """Print where the address leads; 1 if nowhere."""
    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    table = load_channels(root)
    if arguments.address is None:
        _print_table(root, table, as_json=arguments.json)
        return EXIT_OK
    configuration = load_configuration(root.msg_conf)
    finding = asyncio.run(_find(root, configuration, table, arguments.address))
    if arguments.json:
        print_json(_record(root, arguments.address, finding))
    else:
        _print_finding(root, arguments.address, finding)
    return EXIT_FAILED if finding.problem else EXIT_OK


async def _find(
    root: ServerRoot, configuration: Configuration, table: ChannelTable, address: str
) -> Finding:
    destination, user = await _destination(root, configuration, address)
    if destination is Destination.LOCAL:
        return Finding(destination, user)
    if destination is Destination.UNKNOWN_USER:
        return Finding(destination, problem="there is no such user: refused with 550 5.1.1")
    try:
        route = table.route(address.rpartition("@")[2])
    except RoutingError as failure:
        return Finding(destination, problem=str(failure))
    if route.channel.local:
        told = "the rule says that this domain is here, but the directory has no users in it"
        return Finding(destination, route=route, problem=told)
    policies = _policies(root, configuration, route)
    ourselves = Ourselves.of({host_name(configuration)}, configuration.integer("service.smtp.port"))
    problem = ""
    if not configuration.boolean("queue.enable"):
        problem = "queue.enable is no: mail for other domains is refused"
    hosts: tuple[SurveyedHost, ...] = ()
    try:
        hosts = await survey(build_resolver(configuration), route, ourselves, policies)
    except DestinationError as failure:
        problem = problem or str(failure)
    if hosts and all(host.problem for host in hosts):
        problem = problem or "none of the servers would be used"
    return Finding(destination, "", route, hosts, policies, problem)


async def _destination(
    root: ServerRoot, configuration: Configuration, address: str
) -> tuple[Destination, str]:
    with opened_directory(root, configuration) as directory:
        recipients = RecipientDirectory(
            directory,
            default_domain=configuration.string("service.defaultdomain"),
            administrators=configuration.names("store.admins"),
        )
        if "@" in address:
            return await recipients.resolve(address)
        found, _ = await recipients.resolve(f"postmaster@{address}")
        return (found if found is Destination.FOREIGN else Destination.LOCAL), ""


def _policies(root: ServerRoot, configuration: Configuration, route: Route) -> KnownPolicies:
    channel = route.channel
    entry = load_policy_map(policy_map_path(root)).find(route.domain, channel.daemon, channel.port)
    kept = None
    if configuration.boolean("mtasts.enable"):
        kept = PolicyFiles(root.mta_sts_directory).find(route.domain)
    if kept is None or kept.expires <= time.time():
        return KnownPolicies(entry)
    policy = kept.policy
    sts = StsPolicy(kept.domain, policy.mode, policy.mx, policy.lines, kept.identifier)
    return KnownPolicies(entry, sts)


def _print_finding(root: ServerRoot, address: str, finding: Finding) -> None:
    _print("address", address)
    route = finding.route
    match finding.destination:
        case Destination.LOCAL:
            whose = f"the mailbox of {finding.user}" if finding.user else "the domain is ours"
            _print("local", f"yes, {whose}")
        case Destination.UNKNOWN_USER:
            _print("local", "yes, the domain is ours")
        case Destination.FOREIGN:
            _print("local", "no, the directory has no such domain")
    if route is not None:
        _print("rule", f"{_place(root, route.rule)}: {route.rule}")
        _print("channel", f"{route.channel.name}: {' '.join(client_keywords(route.channel))}")
        if finding.policies.sts is not None:
            _print("MTA-STS", f"{finding.policies.sts.mode.value} (as the server keeps it)")
    for host in finding.hosts:
        _print("server", f"{host.host}, {', '.join(host.addresses) or 'no address'}")
        if host.tls:
            _print("  TLS", host.tls)
        if host.dane:
            _print("  DANE", host.dane)
        if host.problem:
            _print("  problem", host.problem)
    if finding.problem:
        _print("problem", finding.problem)


def _print(title: str, value: str) -> None:
    print_line(f"{title + ':':<{_WIDTH}} {value}")


def _place(root: ServerRoot, rule: RewriteRule) -> str:
    return rule.place if rule.line else f"standard, for {root.imta_cnf} says nothing"


def client_keywords(channel: Channel) -> list[str]:
    """What a channel's keywords say of mail that leaves by it."""
    words = [f"{channel.tls_client.value}tls", channel.exchangers.value]
    if channel.daemon:
        words.append(f"daemon {channel.daemon}")
    words += [f"port {channel.port}", f"maxjobs {channel.max_jobs}"]
    if channel.sasl_client is not Demand.NEVER:
        words.append(f"{channel.sasl_client.value}saslclient")
    if channel.client_certificate:
        words.append(f"tlscertificate {channel.client_certificate}")
    for name, times in (("backoff", channel.backoff), ("notices", channel.notices)):
        if times:
            words.append(f"{name} {', '.join(map(duration_text, times))}")
    return words


def server_keywords(channel: Channel) -> list[str]:
    """What a channel's keywords ask of clients that come in on it."""
    words = [f"{channel.tls_server.value}tlsserver", f"{channel.sasl_server.value}saslserver"]
    words += [f"tlsswitchchannel {channel.tls_switch}"] if channel.tls_switch else []
    words += [f"saslswitchchannel {channel.sasl_switch}"] if channel.sasl_switch else []
    words += ["switchchannel"] if channel.switches else []
    words += [] if channel.switched_to else ["noswitchchannel"]
    if channel.source_block_limit is not None:
        words.append(f"sourceblocklimit {channel.source_block_limit // 1024}")
    return words


def _print_table(root: ServerRoot, table: ChannelTable, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "rules": [_rule_record(rule) for rule in table.rules],
                "channels": [_channel_record(channel) for channel in table.channels.values()],
                "without_effect": list(table.without_effect),
            }
        )
        return
    print_table(
        ["Pattern", "Template", "Channel", "Where"],
        [
            [rule.pattern, rule.template, table.hosts[rule.host].name, _place(root, rule)]
            for rule in table.rules
        ],
    )
    print_line("")
    ports = {channel: port for port, channel in PORT_CHANNELS.items()}
    print_table(
        ["Channel", "Clients", "Servers"],
        [
            [
                channel.name,
                " ".join(server_keywords(channel)) if channel.sends or name in ports else "-",
                _deliveries(channel),
            ]
            for name, channel in table.channels.items()
        ],
    )
    for line in advice(table, root.imta_cnf):
        print_message(f"warning: {line}")


def _deliveries(channel: Channel) -> str:
    if channel.local:
        return "mailboxes here"
    return " ".join(client_keywords(channel)) if channel.sends else "delivers nothing"


def _rule_record(rule: RewriteRule) -> dict[str, JsonValue]:
    return {
        "pattern": rule.pattern,
        "template": rule.template,
        "file": str(rule.file) if rule.line else None,
        "line": rule.line or None,
    }


def _channel_record(channel: Channel) -> dict[str, JsonValue]:
    return {
        "name": channel.name,
        "official_host": channel.official_host,
        "line": channel.line or None,
        "local": channel.local,
        "sends": channel.sends,
        "client": list(client_keywords(channel)),
        "server": list(server_keywords(channel)),
    }


def _record(root: ServerRoot, address: str, finding: Finding) -> JsonValue:
    route, policies = finding.route, finding.policies
    hosts: list[JsonValue] = [
        {name: list(value) if isinstance(value, tuple) else value for name, value in each.items()}
        for each in map(asdict, finding.hosts)
    ]
    return {
        "address": address,
        "local": finding.destination is not Destination.FOREIGN,
        "user": finding.user or None,
        "domain": None if route is None else route.domain,
        "rule": None if route is None else _rule_record(route.rule),
        "channel": None if route is None else _channel_record(route.channel),
        "mta_sts": None if policies.sts is None else policies.sts.mode.value,
        "tls_policy": None if policies.entry is None else str(policies.entry),
        "hosts": hosts,
        "problem": finding.problem or None,
    }
