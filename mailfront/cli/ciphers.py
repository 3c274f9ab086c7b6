"""`mailfront ciphers`: what a TLS policy comes to, suite by suite, and why."""

from __future__ import annotations

import argparse
import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mailfront.cli.output import (
    EXIT_OK,
    JsonValue,
    print_json,
    print_line,
    print_message,
    print_table,
)
from mailfront.configuration.home import HOME_VARIABLE, ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.configuration.options.encryption import SERVICES, TLS_PROFILES
from mailfront.configuration.suggest import did_you_mean
from mailfront.errors import ConfigurationError

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers
    from mailfront.tls.ciphers import Suite
    from mailfront.tls.policy import Policy

DEFAULT_PROFILE = "intermediate"

EPILOGUE = """\
Shows what clients of each service get, in the server's order: profile, versions, suites, groups,
signature algorithms, and each suite that was asked for and is refused, with the reason. Without a
server root the profile intermediate is shown.

  mailfront ciphers --service imap
  mailfront ciphers --profile legacy
  mailfront ciphers --explain rsa_3des_sha     any name: the original's, IANA's, OpenSSL's
  mailfront ciphers --table                    Table 23-2 of the original's guide, and the fate of
                                               every other suite that it had a name for"""

# Suites of one policy, or of several services that have the same.
Policies = Mapping[str, "Policy"]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "ciphers",
        help="the TLS policy: versions, suites, groups, and why",
        description="Show the TLS policy of the services, or of a profile.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--service", choices=SERVICES, help="one service only")
    whose.add_argument("--profile", choices=TLS_PROFILES, help="a profile as it is")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--explain", metavar="NAME", help="tell all about one suite")
    what.add_argument("--table", action="store_true", help="the original's names and their fate")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the policies, one suite, or the table."""
    policies = _policies(arguments)
    if arguments.explain is not None:
        _explain(_suite_named(arguments.explain), policies, as_json=arguments.json)
    elif arguments.table:
        _print_original_names(policies, as_json=arguments.json)
    elif arguments.json:
        records: list[JsonValue] = [_record(whose, policy) for whose, policy in policies.items()]
        print_json({"openssl": ssl.OPENSSL_VERSION, "settings": _settings(), "policies": records})
    else:
        for whose, policy in policies.items():
            _print_policy(whose, policy)
        _print_settings()
    return EXIT_OK


def _policies(arguments: argparse.Namespace) -> dict[str, Policy]:
    from mailfront.server.policies import policy_of
    from mailfront.tls.policy import policy_named

    name = arguments.profile
    if name is None and not (arguments.home or os.environ.get(HOME_VARIABLE)):
        if arguments.service is not None:
            ServerRoot.from_environment(arguments.home)
        name = DEFAULT_PROFILE
        print_message(f"no server root is named: this is the profile {name} as it is")
    if name is not None:
        return {f"profile {name}": policy_named(name)}
    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    configuration = load_configuration(root.msg_conf)
    services = tuple(SERVICES) if arguments.service is None else (arguments.service,)
    users: dict[Policy, list[str]] = {}
    for service in services:
        try:
            users.setdefault(policy_of(configuration, service), []).append(service)
        except ConfigurationError as failure:
            failure.file = root.msg_conf
            raise
    return {", ".join(names): policy for policy, names in users.items()}


def _suite_named(name: str) -> Suite:
    from mailfront.tls.ciphers import find_suite, known_names

    suite = find_suite(name)
    if suite is None:
        raise ConfigurationError(
            f"no cipher suite is called {name[:60]!r}",
            remedy=did_you_mean(name, known_names(), otherwise="mailfront ciphers --table"),
        )
    return suite


def _print_policy(whose: str, policy: Policy) -> None:
    from mailfront.tls.openssl import linked_version

    print_line(f"{whose}: {policy.name}, {', '.join(policy.versions)}")
    print_line("")
    print_table(
        ["Since", "Suite", "Key exchange", "Authentication", "Encryption", "Bits", "Strength"],
        [
            [
                suite.protocol,
                suite.name,
                suite.key_exchange,
                suite.authentication,
                suite.encryption,
                str(suite.bits),
                str(suite.strength),
            ]
            for suite in policy.effective_suites
        ],
    )
    print_line("")
    print_line(f"Groups: {', '.join(name for tier in policy.groups for name in tier)}")
    print_line(f"Signature algorithms: {', '.join(policy.signature_algorithms)}")
    if policy.lacking:
        print_line(f"{linked_version()} lacks: {', '.join(policy.lacking)}")
    if policy.refused:
        print_line("")
        print_table(["Refused", "Reason"], [[each.name, each.reason] for each in policy.refused])
    print_line("")
    for danger in policy.dangers:
        print_message(f"warning: {whose}: {danger}")


def _print_settings() -> None:
    from mailfront.tls.openssl import features, linked_version

    print_line(f"{linked_version()}, which Python's ssl is linked to")
    for feature in features():
        if feature.available:
            print_line(f"{feature.setting.value}: set through {feature.means}")
        else:
            print_line(f"{feature.setting.value}: unavailable, OpenSSL's own; {feature.reason}")


def _settings() -> list[JsonValue]:
    from mailfront.tls.openssl import features

    return [
        {"setting": each.setting.value, "means": each.means, "reason": each.reason}
        for each in features()
    ]


def _record(whose: str, policy: Policy) -> dict[str, JsonValue]:
    return {
        "of": whose,
        "policy": policy.name,
        "reason": policy.reason,
        "versions": policy.versions,
        "suites": [_suite_record(suite) for suite in policy.effective_suites],
        "groups": [name for tier in policy.groups for name in tier],
        "signature_algorithms": policy.signature_algorithms,
        "lacking": policy.lacking,
        "refused": [{"name": each.name, "reason": each.reason} for each in policy.refused],
        "warnings": policy.warnings(),
    }


def _suite_record(suite: Suite) -> dict[str, JsonValue]:
    return {
        "name": suite.name,
        "iana": suite.iana,
        "openssl": suite.openssl,
        "original": suite.originals,
        "code": suite.code,
        "since": suite.protocol,
        "key_exchange": suite.key_exchange,
        "authentication": suite.authentication,
        "encryption": suite.encryption,
        "bits": suite.bits,
        "strength": suite.strength,
        "fate": suite.fate.value,
        "reason": suite.reason,
    }


def _explain(suite: Suite, policies: Policies, *, as_json: bool) -> None:
    from mailfront.tls.policy import standing

    standings = {whose: standing(policy, suite) for whose, policy in policies.items()}
    if as_json:
        print_json(
            _suite_record(suite)
            | {"standing": {whose: text for whose, (_, text) in standings.items()}}
        )
        return
    rows = [
        ["IANA", suite.iana],
        ["OpenSSL", ", ".join((suite.openssl, *suite.aliases)) if suite.openssl else "-"],
        ["The original", ", ".join(suite.originals) or "-"],
        ["Code", f"0x{suite.code}"],
        ["Since", suite.protocol],
        ["Key exchange", suite.key_exchange],
        ["Authentication", suite.authentication],
        ["Encryption", f"{suite.encryption}, {suite.bits} bits (strength {suite.strength})"],
        ["Fate", f"{suite.fate.value}: {suite.reason}"],
        *([whose, text] for whose, (_, text) in standings.items()),
    ]
    width = max(len(title) for title, _ in rows)
    for title, text in rows:
        print_line(f"{title:{width}}  {text}")


def _print_original_names(policies: Policies, *, as_json: bool) -> None:
    from mailfront.tls.ciphers import ORIGINAL_SUITES, table_23_2
    from mailfront.tls.policy import standing

    described = {suite: title for title, suite in table_23_2()}
    others = [suite for suite in ORIGINAL_SUITES if suite not in described]
    if as_json:
        print_json(
            [
                _suite_record(suite)
                | {
                    "table_23_2": described.get(suite),
                    "standing": {
                        whose: standing(policy, suite)[1] for whose, policy in policies.items()
                    },
                }
                for suite in (*described, *others)
            ]
        )
        return
    for whose, policy in policies.items():
        print_line(f"Table 23-2, under the policy of {whose} ({policy.name})")
        print_line("")
        print_table(
            ["The guide", "Name", "IANA", "Bits", "Fate"],
            [[title, *_fate_row(suite, policy)] for suite, title in described.items()],
        )
        print_line("")
        print_line("Its other names")
        print_line("")
        print_table(
            ["Name", "IANA", "Bits", "Fate"], [_fate_row(suite, policy) for suite in others]
        )
        print_line("")


def _fate_row(suite: Suite, policy: Policy) -> list[str]:
    from mailfront.tls.policy import standing

    return [
        ", ".join(suite.originals),
        suite.iana,
        str(suite.bits),
        standing(policy, suite)[1],
    ]
