"""`list-certs`: the certificates on a page, as the original printed them, and what expires."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    JsonValue,
    format_table,
    print_json,
    print_message,
    printable,
)
from mailfront.keystore.expiry import ValidityState, days_left, validity_state
from mailfront.keystore.formats import alternative_names, name_text
from mailfront.keystore.records import CertificateRecord

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
_TRUST_HEADER = "Trust"
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_COLOURS = {
    ValidityState.EXPIRED: _RED,
    ValidityState.NOT_YET_VALID: _RED,
    ValidityState.EXPIRING: _YELLOW,
}


def _list(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        inventory = token.inventory()
    now = datetime.now(UTC)
    records = [
        record
        for record in inventory.records
        if (record.trust.is_authority if arguments.ca else record.has_key)
    ]
    if arguments.expiring is not None:
        records = [
            record for record in records if days_left(record.certificate, now) < arguments.expiring
        ]
    if arguments.json:
        print_json([certificate_facts(record, now) for record in records])
    else:
        _print_page(records, now, authorities=arguments.ca)
    for nickname in inventory.altered:
        print_message(
            f"{printable(nickname)}: the entry was altered outside mailfront and is not used: "
            "restore the database from a backup, or remove the entry and add it again"
        )
    if inventory.altered:
        return EXIT_FAILED
    return EXIT_EXPIRING if arguments.expiring is not None and records else EXIT_OK


def _print_page(records: list[CertificateRecord], now: datetime, *, authorities: bool) -> None:
    headers = (*_HEADERS, _TRUST_HEADER) if authorities else _HEADERS
    rows = [
        (*_cells(record, now), record.trust.letters) if authorities else _cells(record, now)
        for record in records
    ]
    lines = format_table(headers, rows)
    head, body = lines[: len(lines) - len(rows)], lines[len(lines) - len(rows) :]
    colours = [_colour(record, now) for record in records] if _wants_colour() else [""] * len(rows)
    for line in head:
        sys.stdout.write(f"{line}\n")
    for line, colour in zip(body, colours, strict=True):
        sys.stdout.write(f"{colour}{line}{_PLAIN}\n" if colour else f"{line}\n")
    plural = "" if len(records) == 1 else "s"
    sys.stdout.write(f"{len(records)} certificate{plural} found\n")


def _cells(record: CertificateRecord, now: datetime) -> tuple[str, ...]:
    certificate = record.certificate
    same = certificate.subject == certificate.issuer
    return (
        record.nickname,
        _local_minute(certificate.not_valid_before_utc),
        _local_minute(certificate.not_valid_after_utc),
        "y" if is_self_signed(record) else "n",
        name_text(certificate.issuer),
        "Same as issuer" if same else name_text(certificate.subject),
        str(days_left(certificate, now)),
        record.key_description,
    )


def _local_minute(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y/%m/%d %H:%M")


def is_self_signed(record: CertificateRecord) -> bool:
    """Return whether the certificate was signed with its own key."""
    try:
        record.certificate.verify_directly_issued_by(record.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def certificate_facts(record: CertificateRecord, now: datetime) -> dict[str, JsonValue]:
    """Return what `--json` says about a certificate; times are UTC in ISO 8601."""
    certificate = record.certificate
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
        "trust": record.trust.letters,
        "chain": [name_text(issuer.subject) for issuer in record.chain],
        "sha256": record.sha256,
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
    parser.add_argument("--json", action="store_true", help="print a JSON list")


LIST = Subcommand(
    name="list-certs",
    summary="list the certificates, or with -C the trusted CAs",
    description="""\
Lists the certificates whose private keys are in the database; with -C the
certificates of trusted CAs (C: for servers, T: for clients). Times are those of
this machine's time zone. On a terminal, what expires within 30 days is yellow
and what has expired is red.""",
    examples="""\
  msgcert list-certs
  msgcert list-certs -C
  msgcert list-certs --expiring 14 || mail -s "certificates expire" admin   (for cron)
  msgcert list-certs --json""",
    add_arguments=_add_arguments,
    run=_list,
)
