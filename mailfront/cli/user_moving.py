"""`mailfront user hold`, `release` and `kick`: what a mailbox that moves to another server needs.

A hold is the attribute `mailFrontDelayUntil` in `config/users.ldif`; an LDAP server is never
written to: for one the commands print the change in LDIF, for ldapmodify. `kick` asks the running
server.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta

from mailfront.cli.directory_access import is_ldap, opened_directory
from mailfront.cli.output import print_message
from mailfront.cli.subcommand import AddCommand, Subparsers
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.directory.editing import checked_address, replace_delay
from mailfront.directory.entry import DELAY_ATTRIBUTE, Entry
from mailfront.errors import DirectoryError, OperatorError
from mailfront.protocol.generalized_time import format_time
from mailfront.protocol.ldif import format_attribute, format_record
from mailfront.server.control import ask_server

# The last moment that a Generalized Time can say.
FOR_EVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_DURATION = re.compile(r"([0-9]{1,5})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_parsers(commands: Subparsers, command: AddCommand) -> None:
    """Add the subcommands of `mailfront user`."""
    hold = command(commands, "hold", "let new logins of a user wait", run_hold)
    hold.add_argument("address", metavar="ADDRESS", help="the mail address")
    hold.add_argument(
        "--until", metavar="TIME",
        help="30s, 30m, 2h, 1d from now, or a time such as 2026-11-24T18:30 (UTC unless it says "
        "more); otherwise until released",
    )  # fmt: skip
    release = command(commands, "release", "let them log in again", run_release)
    release.add_argument("address", metavar="ADDRESS", help="the mail address")
    kick = command(commands, "kick", "end all sessions of a user", run_kick)
    kick.add_argument("address", metavar="ADDRESS", help="the mail address")


def run_hold(arguments: argparse.Namespace) -> int:
    """Hold a user's logins."""
    now = datetime.now(UTC)
    until = FOR_EVER if arguments.until is None else moment_of(arguments.until, now)
    if until <= now:
        raise OperatorError(f"{arguments.until} is past", remedy="name a time to come, or 30m")
    if _replace(arguments, until):
        print_message(
            f"logins of {arguments.address} wait {_until(until)}; mailfront user kick "
            f"{arguments.address} ends the sessions that there are"
        )
    return 0


def run_release(arguments: argparse.Namespace) -> int:
    """Release a user's logins; 0 also if they were not held."""
    if _replace(arguments, None):
        print_message(f"{arguments.address} may log in again")
    return 0


def run_kick(arguments: argparse.Namespace) -> int:
    """End a user's sessions on the running server; print how many."""
    root = _root(arguments)
    answer = ask_server(root.control_socket, f"kick {checked_address(arguments.address)}")
    if "error" in answer:
        raise OperatorError(f"the server refuses: {answer['error']}")
    print_message(f"sessions of {answer['user']} ended: {answer['ended']}")
    return 0


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment that an operator means, in UTC. Raises `OperatorError`."""
    if duration := _DURATION.fullmatch(text):
        return (now + timedelta(**{_UNITS[duration[2]]: int(duration[1])})).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        remedy = "write 30m, 2h, or a time such as 2026-11-24T18:30"
        raise OperatorError(f"{text!r} is no time", remedy=remedy) from None


def hold_of(entry: Entry) -> str:
    """Return what `list` and `show` say of a hold; empty without one that holds now."""
    if entry.held_until is None or entry.held_until <= datetime.now(UTC):
        return ""
    return f"held {_until(entry.held_until)}"


def change_of(entry: Entry, until: datetime | None) -> bytes:
    """Return the change record (RFC 2849) for an entry in LDAP."""
    lines = [
        format_record(entry.dn, [("changetype", b"modify")]),
        format_attribute("replace", DELAY_ATTRIBUTE.encode("ascii")),
    ]
    if until is not None:
        lines.append(format_attribute(DELAY_ATTRIBUTE, format_time(until).encode("ascii")))
    return b"".join([*lines, b"-\n"])


def _replace(arguments: argparse.Namespace, until: datetime | None) -> bool:
    """Write the hold, or print the change; return whether it was written."""
    root = _root(arguments)
    address = checked_address(arguments.address)
    configuration = load_configuration(root.msg_conf)
    if is_ldap(configuration):
        entry = asyncio.run(_ldap_user(root, configuration, address))
        sys.stdout.write(change_of(entry, until).decode("ascii"))
        print_message(
            "the LDAP directory is not written to: give these lines to ldapmodify (the schema is "
            "docs/ldap/mailfront.schema)"
        )
        return False
    if not replace_delay(root.users_ldif, address, until):
        print_message("nothing is changed")
        return False
    return True


async def _ldap_user(root: ServerRoot, configuration: Configuration, address: str) -> Entry:
    with opened_directory(root, configuration) as directory:
        entry = await directory.entry_for_address(address)
    if entry is None:
        raise DirectoryError(f"there is no user {address} in the LDAP directory")
    return entry


def _until(moment: datetime) -> str:
    return "until released" if moment == FOR_EVER else f"until {moment:%Y-%m-%d %H:%M:%S} UTC"


def _root(arguments: argparse.Namespace) -> ServerRoot:
    root = ServerRoot.from_environment(getattr(arguments, "home", None))
    root.require_initialised()
    return root
