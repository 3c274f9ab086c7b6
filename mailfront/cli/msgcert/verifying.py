"""`verify`: what is wrong in the certificate database, a line for each finding."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    JsonValue,
    print_json,
    print_line,
    print_message,
)
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.nicknames import QualifiedNickname, parse_personality
from mailfront.keystore.token_verification import verify_tokens
from mailfront.keystore.verification import Finding, verify
from mailfront.server.certificates import ALPN, nicknames_of


def _verify(arguments: argparse.Namespace) -> int:
    root = server_root(arguments)
    served = _served(root)
    with open_token(arguments) as token:
        findings = verify(token, datetime.now(UTC), _host_names(root, served))
        keystore = Keystore(root, token)
        if keystore.has_modules:
            keystore.look_at_tokens()
        findings += verify_tokens(keystore, map(str, served))
        count = len(token.nicknames())
    if arguments.json:
        print_json([_facts(finding) for finding in findings])
    else:
        for finding in findings:
            print_line(str(finding))
    if not findings and not arguments.json:
        print_message(f"{count} entries, nothing to find fault with")
    return EXIT_FAILED if findings else EXIT_OK


def _served(root: ServerRoot) -> list[QualifiedNickname]:
    """Return what services present."""
    if not root.is_initialised():
        return []
    configuration = load_configuration(root.msg_conf)
    return [
        qualified
        for service in ALPN
        for text in nicknames_of(configuration, service)
        for qualified in parse_personality(text)
    ]


def _host_names(
    root: ServerRoot, served: Iterable[QualifiedNickname]
) -> dict[str, tuple[str, ...]]:
    """Return the names that the certificate of each served nickname must bear."""
    hostname = ""
    if root.is_initialised():
        hostname = load_configuration(root.msg_conf).string("service.hostname")
    names = (hostname,) if hostname else ()
    return {qualified.nickname: names for qualified in served if qualified.is_internal}


def _facts(finding: Finding) -> dict[str, JsonValue]:
    return {
        "alias": finding.nickname or None,
        "problem": finding.problem,
        "remedy": finding.remedy,
    }


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON list of findings")


VERIFY = Subcommand(
    name="verify",
    summary="check every entry of the certificate database",
    description="""\
Checks the database file and every entry: that nobody altered or removed one
behind our back, that each key opens and is its certificate's, dates, strength,
chains up to a trusted CA, that the keys that should be on tokens are there, and
that the certificates that services present are for service.hostname. Prints a
line for each finding and exits with 1 if there is any. Nothing is changed.""",
    examples="""\
  msgcert verify
  msgcert verify --json
  msgcert verify || mail -s "certificate database" admin   (for cron)""",
    add_arguments=_add_arguments,
    run=_verify,
)
