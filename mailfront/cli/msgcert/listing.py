"""`list-certs`: the certificates on a page, as the original printed them, and what expires."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.msgcert.usage import uses_of_certificates
from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    JsonValue,
    format_table,
    print_json,
    print_line,
    print_message,
    printable,
)
from mailfront.configuration.home import ServerRoot
from mailfront.errors import OperatorError
from mailfront.keystore import chain
from mailfront.keystore.expiry import ValidityState, days_left, validity_state
from mailfront.keystore.formats import alternative_names, name_text
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.records import CertificateRecord, Inventory, PendingKey

EXIT_EXPIRING = 3
_HEADERS = (
    "Alias",
    "Valid from",
    "Expires on",
    "Self-\nsigned?",
    "Issued by",
    "Issued to",
    "Days\nleft",
    "Key type",
)
_USE_HEADER = "In use by"
_TRUST_HEADER = "Trust"
_PENDING = "pending"
_WIDEST_CELL = 40
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_COLOURS = {
    ValidityState.EXPIRED: _RED,
    ValidityState.NOT_YET_VALID: _RED,
    ValidityState.EXPIRING: _YELLOW,
}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the page: its cells, and a colour or nothing."""

    cells: tuple[str, ...]
    colour: str = ""


def _list(arguments: argparse.Namespace) -> int:
    root = server_root(arguments)
    with open_token(arguments) as token:
        inventory = token.inventory()
    now = datetime.now(UTC)
    records = [
        record
        for record in inventory.records
        if (_is_other(record) if arguments.ca else _is_own(record))
    ]
    pending = () if arguments.ca else inventory.pending
    if arguments.expiring is not None:
        pending = ()
        records = [
            record for record in records if days_left(record.certificate, now) < arguments.expiring
        ]
    services = services_by_nickname(root)
    if arguments.json:
        facts = [certificate_facts(record, now, services) for record in records]
        print_json([*facts, *(pending_facts(key) for key in pending)])
    elif arguments.ca:
        print_others(records, now)
    else:
        print_own(records, pending, now, services)
    _tell_faults(inventory)
    if inventory.altered or inventory.missing:
        return EXIT_FAILED
    return EXIT_EXPIRING if arguments.expiring is not None and records else EXIT_OK


def print_others(records: Sequence[CertificateRecord], now: datetime) -> None:
    """Print the page of certificates without key, with what each is trusted for."""
    _print_page((*_HEADERS, _TRUST_HEADER), [_authority_line(one, now) for one in records])
    print_line(_count(records))


def _is_own(record: CertificateRecord) -> bool:
    return record.has_key or record.key_on_other_token


def _is_other(record: CertificateRecord) -> bool:
    return record.trust.is_authority or not _is_own(record)


def print_own(
    records: Sequence[CertificateRecord],
    pending: Sequence[PendingKey],
    now: datetime,
    services: dict[str, list[str]],
) -> None:
    """Print the page of certificates with keys, and of keys that wait for one."""
    lines = [_line(record, now, services) for record in records]
    # A column without any entry would only make the lines longer.
    headers = (*_HEADERS, _USE_HEADER) if any(line.cells[-1] for line in lines) else _HEADERS
    _print_page(headers, [*lines, *map(_pending_line, pending)])
    print_line(_count(records))
    if pending:
        waiting = "1 key waits" if len(pending) == 1 else f"{len(pending)} keys wait"
        print_line(f"{waiting} for a certificate")


def _count(records: Sequence[CertificateRecord]) -> str:
    return f"{len(records)} certificate{'' if len(records) == 1 else 's'} found"


def services_by_nickname(
    root: ServerRoot, tokens: Sequence[str] = (INTERNAL_TOKEN,)
) -> dict[str, list[str]]:
    """Return the services that use each nickname of a token, known by any of the names `tokens`.

    It is empty where the configuration cannot be read, which is told.
    """
    try:
        uses = uses_of_certificates(root, tokens)
    except OperatorError:
        print_message(
            "note: the configuration is faulty, so it is not known which service uses what; "
            "`mailfront check` shows its faults"
        )
        return {}
    return {nickname: [use.service for use in used] for nickname, used in uses.items()}


def _tell_faults(inventory: Inventory) -> None:
    for nicknames, what in (
        (
            inventory.altered,
            "the entry was altered outside mailfront and is not used: restore the database from a "
            "backup, or remove the entry and add it again",
        ),
        (
            inventory.missing,
            "the entry was removed outside mailfront: restore the database from a backup, or "
            "remove the entry with msgcert too",
        ),
    ):
        for nickname in nicknames:
            print_message(f"{printable(nickname)}: {what}")


def _print_page(headers: Sequence[str], lines: Sequence[_Line]) -> None:
    table = format_table(headers, [line.cells[: len(headers)] for line in lines])
    head, body = table[: len(table) - len(lines)], table[len(table) - len(lines) :]
    colours = [line.colour if _wants_colour() else "" for line in lines]
    for text in head:
        sys.stdout.write(f"{text}\n")
    for text, colour in zip(body, colours, strict=True):
        sys.stdout.write(f"{colour}{text}{_PLAIN}\n" if colour else f"{text}\n")


def _line(record: CertificateRecord, now: datetime, services: dict[str, list[str]]) -> _Line:
    used_by = ", ".join(services.get(record.nickname, ()))
    return _Line((*_cells(record, now), used_by), _colour(record, now))


def _authority_line(record: CertificateRecord, now: datetime) -> _Line:
    cells = _cells(record, now)
    if sys.stdout.isatty():
        # Some subjects would make every line wider than any terminal; an alias is to be copied.
        cells = (cells[0], *map(_shortened, cells[1:]))
    return _Line((*cells, record.trust.letters), _colour(record, now))


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST_CELL else f"{text[: _WIDEST_CELL - 1]}…"


def _pending_line(key: PendingKey) -> _Line:
    cells = (key.qualified_nickname, _PENDING, "", "", "", "", "", key.key_description, "")
    return _Line(cells)


def _cells(record: CertificateRecord, now: datetime) -> tuple[str, ...]:
    certificate = record.certificate
    same = certificate.subject == certificate.issuer
    return (
        record.qualified_nickname,
        _local_minute(certificate.not_valid_before_utc),
        _local_minute(certificate.not_valid_after_utc),
        "y" if is_self_signed(record) else "n",
        name_text(certificate.issuer),
        "Same as issuer" if same else name_text(certificate.subject),
        str(days_left(certificate, now)),
        f"{record.key_description}, on token"
        if record.key_on_other_token
        else record.key_description,
    )


def _local_minute(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y/%m/%d %H:%M")


def is_self_signed(record: CertificateRecord) -> bool:
    """Return whether the certificate was signed with its own key."""
    return chain.is_self_signed(record.certificate)


def certificate_facts(
    record: CertificateRecord, now: datetime, services: dict[str, list[str]] | None = None
) -> dict[str, JsonValue]:
    """Return what `--json` says about a certificate; times are UTC in ISO 8601.

    `services` are those that use each nickname, if that is known.
    """
    certificate = record.certificate
    used_by: dict[str, JsonValue] = {}
    if services is not None:
        used_by = {"used_by": services.get(record.nickname, [])}
    return {
        "alias": record.nickname,
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "days_left": days_left(certificate, now),
        "state": validity_state(certificate, now).value,
        "self_signed": is_self_signed(record),
        "issuer": name_text(certificate.issuer),
        "subject": name_text(certificate.subject),
        "alternative_names": alternative_names(certificate),
        "serial_number": f"{certificate.serial_number:x}",
        "key_type": record.key_type,
        "key": record.key_description,
        "has_key": record.has_key,
        "key_on_other_token": record.key_on_other_token,
        "token": record.token,
        "trust": record.trust.letters,
        "chain": [name_text(issuer.subject) for issuer in record.chain],
        "sha256": record.sha256,
        **used_by,
    }


def pending_facts(key: PendingKey) -> dict[str, JsonValue]:
    """Return what `--json` says about a key that waits for its certificate."""
    return {
        "alias": key.nickname,
        "state": _PENDING,
        "key_type": key.key_type,
        "key": key.key_description,
        "has_key": True,
        "token": key.token,
    }


def _colour(record: CertificateRecord, now: datetime) -> str:
    return _COLOURS.get(validity_state(record.certificate, now), "")


def _wants_colour() -> bool:
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def _days(text: str) -> int:
    days = int(text)
    if days < 0:
        raise ValueError
    return days


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-C", "--ca", action="store_true", help="list the trusted CAs and what each is trusted for"
    )
    parser.add_argument(
        "--expiring",
        type=_days,
        metavar="DAYS",
        help="list only what expires within DAYS or has expired; exit 3 if there is any",
    )
    parser.add_argument(
        "--all-tokens", action="store_true", help="list the internal token and all PKCS#11 tokens"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")


LIST = Subcommand(
    name="list-certs",
    summary="list the certificates, or with -C the trusted CAs",
    description="""\
Lists the certificates whose private keys are in the database, the services that
present them, and the keys that wait for a certificate (pending); with -C the
certificates of CAs (trusted C: for servers, T: for clients). Times are those of
this machine's time zone. On a terminal, what expires within 30 days is yellow,
what has expired is red, and long subjects of CAs are cut.

With --token the certificates of that PKCS#11 token are listed, by the nicknames
that options name them by (token:nickname); with -C, those on it without key.""",
    examples="""\
  msgcert list-certs
  msgcert list-certs -C
  msgcert list-certs --expiring 14 || mail -s "certificates expire" admin   (for cron)
  msgcert list-certs --token "HSM One"
  msgcert list-certs --all-tokens --json""",
    add_arguments=_add_arguments,
    run=_list,
)
