"""`mailfront queue`: what waits to be delivered to other servers, and what to do with it.

`list` and `show` read the disk, whether a server runs or not; `retry`, `hold`, `release` and
`delete` ask the running server, or act on the disk where none runs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from datetime import UTC, datetime

from mailfront.channels.imta_cnf import load_channels
from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    JsonValue,
    print_json,
    print_line,
    print_message,
    print_table,
)
from mailfront.cli.subcommand import Subparsers
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.errors import BackendError, ConfigurationError, OperatorError
from mailfront.outgoing.routing import Routing
from mailfront.queue.database import NAME, QueueDatabase
from mailfront.queue.entry import QueuedMail, QueuedRecipient, State
from mailfront.queue.mail_queue import MailQueue
from mailfront.queue.message_file import options_record, read_header
from mailfront.queue.operating import ALL, DESTINATION, Action, Done, Request, perform
from mailfront.queue.spool import IDENTIFIER
from mailfront.server.control import ask_server
from mailfront.server.lock import ServerLock, require_no_server
from mailfront.server.outgoing import queue_spool, retry_settings
from mailfront.server.privileges import drop_privileges

EXAMPLES = """\
examples:
  mailfront queue list
  mailfront queue list --destination example.org --json
  mailfront queue show 3f2a90c1d4e5b687
  mailfront queue retry --all                 now, whatever the schedule says
  mailfront queue hold --destination example.org
  mailfront queue release 3f2a90c1d4e5b687
  mailfront queue delete 3f2a90c1d4e5b687     its sender is not told

The server root is --home DIR or the variable MAILFRONT_HOME.
"""
# One request line of the control socket holds so many names.
_NAMES_AT_ONCE = 40
_SUMMARIES = {
    Action.RETRY: "try messages now",
    Action.HOLD: "keep messages from being tried",
    Action.RELEASE: "let held messages be tried again",
    Action.DELETE: "remove messages; their senders are not told",
}
_DONE = {
    Action.RETRY: "tried now",
    Action.HOLD: "held",
    Action.RELEASE: "released",
    Action.DELETE: "deleted",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add `queue` with its own subcommands; each sets `run`."""
    queue = subparsers.add_parser(
        "queue",
        help="mail that waits to be delivered to other servers",
        description="Shows and changes the queue of mail to other servers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = queue.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = _command(commands, "list", "list the messages in the queue")
    listing.add_argument("--destination", metavar="DOMAIN", help="only those for this domain")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=run_list)
    show = _command(commands, "show", "show a message: its recipients, and why they wait")
    show.add_argument("name", metavar="ID", help="the message, as `list` names it")
    show.add_argument("--content", action="store_true", help="print the message itself")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=run_show)
    for action, summary in _SUMMARIES.items():
        parser = _command(commands, action.value, summary)
        parser.add_argument("names", metavar="ID", nargs="*", help="the messages")
        parser.add_argument(ALL, action="store_true", help="every message")
        parser.add_argument(
            DESTINATION, metavar="DOMAIN", help="every message with a recipient in this domain"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.set_defaults(run=run_change, action=action, usage_error=parser.error)


def run_list(arguments: argparse.Namespace) -> int:
    """List the messages, oldest first."""
    root = _root(arguments)
    domain = (arguments.destination or "").lower()
    mails = [*_listing(root, domain), *(each for each in _incoming(root) if _is_for(each, domain))]
    if arguments.json:
        print_json([_record(mail) for mail in mails])
        return EXIT_OK
    rows = [
        (
            mail.identifier, _time(mail.arrived), str(mail.size), mail.sender or "<>",
            each.address, _state(each), each.text,
        )
        for mail in mails
        for each in mail.recipients
        if each.state in (State.WAITING, State.HELD)
    ]  # fmt: skip
    if rows:
        print_table(("ID", "Arrived", "Octets", "Sender", "Recipient", "State", "Last"), rows)
    print_message(f"{len(mails)} messages in the queue" if mails else "the queue is empty")
    return EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    """Show one message."""
    root = _root(arguments)
    name = arguments.name
    if not IDENTIFIER.fullmatch(name):
        raise OperatorError(f"{name!r} is not the name of a message", remedy="mailfront queue list")
    mail = next((each for each in _found(root, name)), None)
    if mail is None:
        raise OperatorError(f"there is no message {name} in the queue")
    if arguments.content:
        with queue_spool(root, load_configuration(root.msg_conf)).open(name) as message:
            for chunk in message.chunks():
                for line in chunk.decode("utf-8", "backslashreplace").splitlines():
                    print_line(line)
        return EXIT_OK
    if arguments.json:
        print_json(_record(mail))
        return EXIT_OK
    for title, value in (
        ("ID", mail.identifier),
        ("Sender", mail.sender or "<>"),
        ("User", mail.authenticated_user or "-"),
        ("Arrived", _time(mail.arrived)),
        ("Octets", str(mail.size)),
        ("Options", options_record(mail.options)),
    ):
        print_line(f"{title + ':':<12}{value}")
    print_line("")
    for each in mail.recipients:
        print_line(f"{each.address}: {_state(each)}, {each.attempts} attempts")
        print_line(f"    next hop: {each.hop}")
        if each.text:
            host = f" ({each.remote_host})" if each.remote_host else ""
            print_line(f"    last: {each.text}{host}")
    return EXIT_OK


def run_change(arguments: argparse.Namespace) -> int:
    """Retry, hold, release or delete; 1 if nothing was found or a name is unknown."""
    chosen = [bool(arguments.names), arguments.all, arguments.destination is not None]
    if sum(chosen) != 1:
        arguments.usage_error(f"name messages, or say {ALL}, or {DESTINATION} DOMAIN")
    if arguments.destination == "":
        arguments.usage_error(f"{DESTINATION} needs a domain; {ALL} means every message")
    root = _root(arguments)
    done = Done(0, 0)
    for request in _requests(arguments):
        part = _asked(root, request)
        done = Done(
            done.messages + part.messages,
            done.recipients + part.recipients,
            done.unknown + part.unknown,
        )
    if arguments.json:
        record = asdict(done)
        print_json({**record, "unknown": list(done.unknown)})
    else:
        for name in done.unknown:
            print_message(f"there is no message {name} in the queue")
        print_message(
            f"{done.messages} messages chosen, {done.recipients} recipients "
            f"{_DONE[arguments.action]}"
        )
    return EXIT_FAILED if done.unknown or not done.messages else EXIT_OK


def _requests(arguments: argparse.Namespace) -> Iterator[Request]:
    action: Action = arguments.action
    names: list[str] = arguments.names
    if arguments.all:
        yield Request(action, everything=True)
    elif arguments.destination:
        yield Request(action, destination=arguments.destination.lower())
    for first in range(0, len(names), _NAMES_AT_ONCE):
        yield Request(action, tuple(names[first : first + _NAMES_AT_ONCE]))


def _asked(root: ServerRoot, request: Request) -> Done:
    """Have the running server do it, or do it on the disk, with the server kept from starting."""
    configuration = load_configuration(root.msg_conf)
    try:
        require_no_server(root.lock_file)
    except ConfigurationError:
        return _asked_of_the_server(root, request)
    _act_as_the_server(root, configuration)
    lock = ServerLock(root.lock_file)
    try:
        return asyncio.run(_perform_here(root, configuration, request))
    finally:
        lock.release()


def _asked_of_the_server(root: ServerRoot, request: Request) -> Done:
    answer = ask_server(root.control_socket, f"queue {request.text()}")
    if "error" in answer:
        raise OperatorError(f"the server refuses: {answer['error']}")
    unknown = answer["unknown"]
    assert isinstance(unknown, list)
    return Done(int(str(answer["messages"])), int(str(answer["recipients"])), tuple(unknown))


def _act_as_the_server(root: ServerRoot, configuration: Configuration) -> None:
    """What is written must be the server's, not root's: it could not write there any more."""
    os.umask(0o077)
    if os.geteuid() != 0:
        return
    if user := configuration.string("local.serveruid"):
        drop_privileges(user)
    elif root.queue_directory.is_dir():
        owner = root.queue_directory.stat()
        if owner.st_uid != 0:
            os.setgroups([])
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)


async def _perform_here(root: ServerRoot, configuration: Configuration, request: Request) -> Done:
    spool = queue_spool(root, configuration)
    if not spool.new.is_dir():
        return Done(0, 0, request.names)
    routing = Routing(load_channels(root).route, retry_settings(configuration))
    queue = MailQueue(spool, routing.hop_of, routing.first_notice)
    try:
        await queue.start()
        await queue.take_in()
        done = await perform(queue, request)
        await queue.close()
    except BackendError as failure:
        raise OperatorError(str(failure)) from failure
    return done


def _listing(root: ServerRoot, domain: str) -> Iterator[QueuedMail]:
    try:
        with closing(_database(root)) as database:
            yield from database.listing(domain)
    except FileNotFoundError:
        return


def _found(root: ServerRoot, name: str) -> Iterator[QueuedMail]:
    # There is no database before the first message was taken in.
    with suppress(FileNotFoundError), closing(_database(root)) as database:
        if (mail := database.find(name)) is not None:
            yield mail
    yield from (each for each in _incoming(root) if each.identifier == name)


def _database(root: ServerRoot) -> QueueDatabase:
    path = root.queue_directory / NAME
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        return QueueDatabase(path, read_only=True)
    except sqlite3.Error as failure:
        raise OperatorError(f"the queue cannot be read: {failure}", file=path) from failure


def _incoming(root: ServerRoot) -> Iterator[QueuedMail]:
    """What was accepted and is not taken in yet."""
    spool = queue_spool(root, load_configuration(root.msg_conf))
    if not spool.new.is_dir():
        return
    for name in spool.accepted(100_000):
        try:
            header = read_header(spool.new / name)
        except (OSError, BackendError):
            # Taken in meanwhile, or damaged: the server tells.
            continue
        envelope = header.envelope
        recipients = tuple(
            QueuedRecipient(0, each, envelope.options_of(each), State.WAITING, "-", header.arrived)
            for each in envelope.recipients
        )
        yield QueuedMail(
            name, envelope.sender, envelope.options, header.arrived, header.size,
            envelope.authenticated_user, recipients,
        )  # fmt: skip


def _is_for(mail: QueuedMail, domain: str) -> bool:
    return not domain or any(
        each.address.lower().endswith(f"@{domain}") for each in mail.recipients
    )


def _command(commands: Subparsers, name: str, summary: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
    parser.add_argument(
        "--home", metavar="DIR", default=argparse.SUPPRESS,
        help="the server root (or set MAILFRONT_HOME)",
    )  # fmt: skip
    return parser


def _root(arguments: argparse.Namespace) -> ServerRoot:
    root = ServerRoot.from_environment(getattr(arguments, "home", None))
    root.require_initialised()
    return root


def _state(recipient: QueuedRecipient) -> str:
    if recipient.state is not State.WAITING:
        return recipient.state.word
    moment = datetime.fromtimestamp(recipient.next_attempt, UTC)
    return "now" if moment <= datetime.now(UTC) else f"at {moment:%Y-%m-%d %H:%M} UTC"


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"


def _record(mail: QueuedMail) -> JsonValue:
    return {
        "id": mail.identifier,
        "sender": mail.sender,
        "user": mail.authenticated_user,
        "arrived": datetime.fromtimestamp(mail.arrived, UTC).isoformat(),
        "size": mail.size,
        "options": dict(asdict(mail.options)),
        "recipients": [
            {
                "address": each.address,
                "state": each.state.word,
                "next_hop": each.hop,
                "next_attempt": datetime.fromtimestamp(each.next_attempt, UTC).isoformat(),
                "attempts": each.attempts,
                "last": each.text,
                "remote_host": each.remote_host,
                "notify": sorted(each.options.notify),
            }
            for each in mail.recipients
        ],
    }
