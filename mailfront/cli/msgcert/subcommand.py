"""What a subcommand of msgcert consists of, and what all of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand: its name, one line about it, its help, its arguments, and what it does."""

    name: str
    summary: str
    description: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    check_usage: Callable[[argparse.ArgumentParser, argparse.Namespace], None] = (
        lambda parser, arguments: None
    )

    def parser(self) -> argparse.ArgumentParser:
        """Return the parser of what stands behind the subcommand's name."""
        parser = argparse.ArgumentParser(
            prog=f"msgcert {self.name}",
            description=self.description,
            epilog=f"examples:\n{self.examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.add_arguments(parser)
        add_shared_arguments(parser, default=argparse.SUPPRESS)
        return parser


def add_shared_arguments(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Add the options that may stand before and behind the subcommand's name."""
    shared = parser.add_argument_group("for every subcommand")
    shared.add_argument(
        "--home",
        metavar="DIR",
        default=default,
        help="the server root (default: the variable MAILFRONT_HOME)",
    )
    shared.add_argument(
        "-W",
        "--cert-pwd-file",
        metavar="FILE",
        default=default,
        help="file whose first line is the password of the certificate database, with --token the "
        "token's PIN, or - for standard input (default: config/sslpassword.conf, else a prompt)",
    )
    shared.add_argument(
        "--token",
        metavar="NAME",
        default=default,
        help="the token that holds the certificates: internal (default), or the label of one that "
        "`mailfront modutil -list` shows",
    )
    shared.add_argument("-?", "-h", "--help", action="help", help="show this text and exit")
