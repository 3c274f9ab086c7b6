"""`mailfront status` and `mailfront reload`: ask the running server."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    print_json,
    print_line,
    print_message,
    print_table,
)
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.status import (
    PortStatus,
    QueueStatus,
    ServerNamesStatus,
    ServerStatus,
)
from mailfront.server.control import ask_server

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers


_SHOWN_DESTINATIONS = 5


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommands."""
    status = subparsers.add_parser(
        "status",
        help="what the running server serves",
        description="Show every port with its TLS mode, nickname, fingerprint, expiry and "
        "connections, and every problem and warning (on stderr). Exit status 1 if no server "
        "answers.",
    )
    status.add_argument(
        "--strict", action="store_true", help="exit with 1 if the server reports a problem"
    )
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=run_status)
    reload = subparsers.add_parser(
        "reload",
        help="make the running server re-read configuration and certificates now",
        description="Make the running server re-read configuration and certificates now, as "
        "SIGHUP does. It follows changes of certificates by itself within two seconds.",
    )
    reload.set_defaults(run=run_reload)
    for parser in (status, reload):
        parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")


def run_status(arguments: argparse.Namespace) -> int:
    """Print the status; with `--strict` 1 if the server reports a problem."""
    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    answer = ask_server(root.control_socket, "status")
    status = ServerStatus.from_json(answer)
    if arguments.json:
        print_json(answer)  # type: ignore[arg-type]
    else:
        print_ports(status)
        print_line("")
        if status.server_names is not None:
            print_line(_server_names(status.server_names))
        if status.queue is not None:
            print_line(_queue(status.queue))
        for line in _stapled(status):
            print_line(line)
        for line in _client_certificates(status):
            print_line(line)
        print_line(
            f"mailfront {status.version}, process {status.pid}, {status.event_loop}, "
            f"since {status.started:%Y-%m-%d %H:%M} UTC"
        )
        for problem in status.problems:
            print_message(f"problem: {problem}")
        for warning in status.warnings:
            print_message(f"warning: {warning}")
    return EXIT_FAILED if status.problems and arguments.strict else EXIT_OK


def run_reload(arguments: argparse.Namespace) -> int:
    """Make the server look again; 1 if something could not be taken over."""
    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    problems = ask_server(root.control_socket, "reload").get("problems")
    assert isinstance(problems, list)
    for problem in problems:
        print_message(f"problem: {problem}")
    return EXIT_FAILED if problems else EXIT_OK


def print_ports(status: ServerStatus) -> None:
    """Print the table of ports."""
    now = datetime.now(UTC)
    rows = [
        [
            port.name,
            f"{port.address}:{port.port}",
            port.tls,
            port.nickname or "-",
            "-" if port.expires is None else _expiry(port.expires, now),
            _fingerprints(port),
            str(port.connections),
        ]
        for port in status.ports
    ]
    print_table(
        ["Service", "Address", "TLS", "Nickname", "Expires", "SHA-256", "Connections"], rows
    )


def _client_certificates(status: ServerStatus) -> list[str]:
    """Which ports ask for what certificates, those that ask alike on one line."""
    asking: dict[str, list[str]] = {}
    for port in status.ports:
        if port.client_certificates:
            names = asking.setdefault(port.client_certificates, [])
            if port.name not in names:
                names.append(port.name)
    return [f"client certificates on {', '.join(names)}: {what}" for what, names in asking.items()]


def _server_names(names: ServerNamesStatus) -> str:
    """How the certificates do that clients are shown by the name they ask for."""
    states = {
        "expire within 30 days": names.expiring,
        "have expired": names.expired,
        "were refused as successors": names.refused,
    }
    told = "; ".join(f"{number} {state}" for state, number in states.items() if number)
    return (
        f"by name (SNI): {names.certificates} more certificates, {names.names} names in all, "
        f"the first expires on {names.next_expiry:%Y-%m-%d}{told and f' ({told})'}"
    )


def _queue(queue: QueueStatus) -> str:
    """What waits to be sent to other servers."""
    text = f"queue: {queue.messages} messages, {queue.waiting} recipients wait, {queue.held} held"
    if not queue.unreachable:
        return text
    shown = ", ".join(queue.unreachable[:_SHOWN_DESTINATIONS])
    more = len(queue.unreachable) - _SHOWN_DESTINATIONS
    return f"{text}; unreachable: {shown}{f' and {more} more' if more > 0 else ''}"


def _stapled(status: ServerStatus) -> Iterator[str]:
    """A line for each certificate that an OCSP response is stapled to, or ought to be."""
    for certificate in status.certificates:
        until, problem = certificate.stapled_until, certificate.staple_problem
        if until is not None or problem:
            state = f"until {until:%Y-%m-%d %H:%M} UTC" if until is not None else "none"
            more = f" ({problem})" if problem else ""
            yield f"OCSP response stapled to {certificate.nickname}: {state}{more}"


def _fingerprints(port: PortStatus) -> str:
    """The begin of the fingerprint served, and of the keystore's where they differ."""
    if not port.is_outdated:
        return _begin(port.fingerprint) or "-"
    return f"{_begin(port.fingerprint)} (keystore: {_begin(port.keystore_fingerprint)})"


def _begin(fingerprints: str) -> str:
    """The begin of each fingerprint; several are divided by commas."""
    return ",".join(fingerprint[:11] for fingerprint in fingerprints.split(","))


def _expiry(expires: datetime, now: datetime) -> str:
    days = (expires - now).days
    return f"{expires:%Y-%m-%d} ({days} days)" if expires > now else f"{expires:%Y-%m-%d} EXPIRED"
