"""`mailfront user`: add, remove and list users of the embedded directory, passwords and keys.

Takes the parsed arguments, works on `config/users.ldif` of the server root (a running server
reads it again within a second), prints data on stdout and messages on stderr. Passwords come from
a prompt, standard input or a file, never from the arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from mailfront.authentication import scram_verifier
from mailfront.authentication.password import generate_password, hash_password, scheme_problem
from mailfront.cli import user_keys, user_moving
from mailfront.cli.directory_access import is_ldap
from mailfront.cli.output import JsonValue, print_json, print_line, print_message, print_table
from mailfront.cli.prompt import add_password_arguments, new_password_from
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.directory.editing import (
    add_entry,
    checked_address,
    find_user,
    remove_entry,
    replace_password,
    require_free,
)
from mailfront.directory.enrolled_keys import enrolled_keys
from mailfront.directory.entry import Entry
from mailfront.directory.users_file import Users, parse_users, read_users_file
from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.mail_address import unicode_address

EXAMPLES = """\
examples:
  mailfront user add alice@example.test                  asks for the password twice
  mailfront user add bob@example.test --generate         makes a password and prints it once
  mailfront user passwd alice@example.test --password-file new.txt
  mailfront user remove bob@example.test
  mailfront user list --json
  mailfront user enroll-key bob@example.test bob.pem     certificate login without a CA
  mailfront user show bob@example.test
  mailfront user hold bob@example.test --until 30m       new logins wait, a mailbox moves
  mailfront user kick bob@example.test                   ends the sessions that there are
  mailfront user release bob@example.test

The server root is --home DIR or the variable MAILFRONT_HOME.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `user` with its own subcommands; each sets `run`."""
    user = subparsers.add_parser(
        "user",
        help="add, remove and list users, set passwords",
        description="Works on the users of the embedded directory, config/users.ldif.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = user.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add = _command(commands, "add", "add a user", run_add)
    add.add_argument("address", metavar="ADDRESS", help="the mail address, user@domain")
    add.add_argument("--name", metavar="NAME", help="the name of the person")
    add.add_argument(
        "--alternate", metavar="ADDRESS", action="append", default=[],
        help="a further address of the user; may be given again",
    )  # fmt: skip
    _add_password_choice(add)

    remove = _command(commands, "remove", "remove a user; their mail stays on disk", run_remove)
    remove.add_argument("address", metavar="ADDRESS", help="the mail address")
    remove.add_argument("--yes", action="store_true", help="do not ask")

    listing = _command(commands, "list", "list all users", run_list)
    listing.add_argument("--json", action="store_true", help="print JSON")

    show = _command(commands, "show", "show a user and their enrolled keys", run_show)
    show.add_argument("address", metavar="ADDRESS", help="the mail address")
    show.add_argument("--json", action="store_true", help="print JSON")

    user_keys.add_parsers(commands, _command)
    user_moving.add_parsers(commands, _command)

    passwd = _command(commands, "passwd", "set a user's password", run_passwd)
    passwd.add_argument("address", metavar="ADDRESS", help="the mail address")
    _add_password_choice(passwd)


def run_add(arguments: argparse.Namespace) -> int:
    """Add a user; everything that can be wrong is told before a password is asked for."""
    path = _users_ldif(arguments)
    address = checked_address(arguments.address)
    alternate = [checked_address(other) for other in arguments.alternate]
    if path.exists():
        users = _users(path)
        for wanted in (address, *alternate):
            require_free(users, wanted, path)
    password = _new_password(arguments, address)
    add_entry(
        path,
        address,
        hash_password(password),
        arguments.name,
        alternate,
        verifier=_verifier(arguments, password),
    )
    print_message(f"{address} is added")
    _show_generated(arguments, password)
    return 0


def run_remove(arguments: argparse.Namespace) -> int:
    """Remove a user, after a question on the terminal or with `--yes`."""
    path = _users_ldif(arguments)
    address = checked_address(arguments.address)
    find_user(_users(path), address, path)
    if not arguments.yes and not _confirmed(f"Remove {address}? [y/N] "):
        print_message("nothing is changed")
        return 1
    remove_entry(path, address)
    store = ServerRoot.from_environment(getattr(arguments, "home", None)).store_directory
    print_message(f"{address} is removed; their mail stays on disk under {store}")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """List all users, as a table or as JSON."""
    entries = _users(_users_ldif(arguments)).entries()
    if arguments.json:
        print_json([_record(entry) for entry in entries])
        return 0
    rows = [
        (
            entry.user, entry.name, _status(entry), ", ".join(_others(entry)),
            _password(entry), str(len(enrolled_keys(entry)) or "none"),
        )
        for entry in entries
    ]  # fmt: skip
    print_table(("Address", "Name", "Status", "Further addresses", "Password", "Keys"), rows)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Show one user."""
    path = _users_ldif(arguments)
    entry = find_user(_users(path), checked_address(arguments.address), path)
    if arguments.json:
        print_json(_record(entry))
        return 0
    facts = (
        ("Address", entry.user),
        ("Uid", entry.uid),
        ("Name", entry.name),
        ("Status", _status(entry)),
        ("Further addresses", ", ".join(_others(entry))),
        ("Password", _password(entry)),
    )
    for title, value in facts:
        print_line(f"{title + ':':<20}{value}".rstrip())
    for key in enrolled_keys(entry):
        print_line(f"{'Key:':<20}{user_keys.key_line(key)}")
    return 0


def run_passwd(arguments: argparse.Namespace) -> int:
    """Set a user's password."""
    path = _users_ldif(arguments)
    address = checked_address(arguments.address)
    find_user(_users(path), address, path)
    password = _new_password(arguments, address)
    replace_password(
        path, address, hash_password(password), verifier=_verifier(arguments, password)
    )
    print_message(f"the password of {address} is changed")
    _show_generated(arguments, password)
    return 0


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
    # Without a default here, so that a --home before the subcommand is not overwritten.
    parser.add_argument(
        "--home", metavar="DIR", default=argparse.SUPPRESS,
        help="the server root (or set MAILFRONT_HOME)",
    )  # fmt: skip
    parser.set_defaults(run=run, usage_error=parser.error)
    return parser


def _add_password_choice(parser: argparse.ArgumentParser) -> None:
    add_password_arguments(parser)
    parser.add_argument(
        "--generate", action="store_true", help="make a random password and print it on stdout"
    )
    parser.add_argument(
        "--scram", action=argparse.BooleanOptionalAction,
        help="store a SCRAM-SHA-256 verifier beside the hash (default: if sasl.default.mech_list "
        "names SCRAM)",
    )  # fmt: skip


def _users_ldif(arguments: argparse.Namespace) -> Path:
    root = ServerRoot.from_environment(getattr(arguments, "home", None))
    root.require_initialised()
    if is_ldap(load_configuration(root.msg_conf)):
        print_message(
            f"warning: users are in LDAP (local.ugldaphost), {root.users_ldif} is not used"
        )
    return root.users_ldif


def _users(path: Path) -> Users:
    content, _ = read_users_file(path)
    return parse_users(content, path)


def _new_password(arguments: argparse.Namespace, address: str) -> Secret:
    if not arguments.generate:
        return new_password_from(arguments, f"Password for {address}: ", "Once more: ")
    if arguments.password_stdin or arguments.password_file is not None:
        arguments.usage_error("--generate goes with neither --password-stdin nor --password-file")
    return generate_password()


def _verifier(arguments: argparse.Namespace, password: Secret) -> str:
    """Return what SCRAM needs, where it is offered or asked for; else nothing: whoever steals the
    file tries passwords against it faster than against argon2."""
    root = ServerRoot.from_environment(getattr(arguments, "home", None))
    configuration = load_configuration(root.msg_conf)
    named = configuration.names("sasl.default.mech_list")
    offered = any(name.startswith(scram_verifier.SCHEME) for name in named)
    if not (offered if arguments.scram is None else arguments.scram):
        return ""
    iterations = configuration.integer("sasl.default.scram_iterations")
    return scram_verifier.make_value(password, iterations)


def _show_generated(arguments: argparse.Namespace, password: Secret) -> None:
    if arguments.generate:
        print_line(password.reveal())


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise OperatorError("there is no terminal to ask on", remedy="say --yes")
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _record(entry: Entry) -> JsonValue:
    return {
        "address": entry.user,
        "uid": entry.uid,
        "name": entry.name,
        "status": entry.status.value,
        "held_until": None if entry.held_until is None else entry.held_until.isoformat(),
        "alternate": _others(entry),
        "password": _password(entry),
        "scram": scram_verifier.verifier_among(entry.password_values) is not None,
        "keys": [user_keys.key_record(key) for key in enrolled_keys(entry)],
    }


def _status(entry: Entry) -> str:
    return ", ".join(filter(None, (entry.status.value, user_moving.hold_of(entry))))


def _others(entry: Entry) -> list[str]:
    return sorted(unicode_address(address) for address in entry.addresses - {entry.user})


def _password(entry: Entry) -> str:
    """Return `set`, `none`, or why it can never be right."""
    problems = [problem for value in entry.password_values if (problem := scheme_problem(value))]
    if problems:
        return problems[0]
    return "set" if entry.password_values else "none"
