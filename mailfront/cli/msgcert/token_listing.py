"""`list-certs --token` and `--all-tokens`, `show-cert --token`: what is on PKCS#11 tokens.

A token's page is that of the internal one under a line with the token's name; nicknames stand there
as options name them, `token:nickname`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.listing import (
    EXIT_EXPIRING,
    LIST,
    certificate_facts,
    pending_facts,
    print_others,
    print_own,
    services_by_nickname,
)
from mailfront.cli.msgcert.readable import readable_certificate
from mailfront.cli.msgcert.show import put_out
from mailfront.cli.msgcert.token_access import certified_in_database, internal_records, opened
from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    JsonValue,
    print_json,
    print_line,
    print_message,
)
from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.keystore.expiry import days_left
from mailfront.keystore.importing import issuers_in
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.pkcs11.sessions import TokenDescription, describe_token, tokens
from mailfront.keystore.pkcs11.token_records import TokenCertificate, TokenContents
from mailfront.keystore.records import CertificateRecord, PendingKey


@dataclass(frozen=True, slots=True)
class _Page:
    """What is to be listed of one token."""

    token: TokenDescription
    contents: TokenContents
    records: list[CertificateRecord]
    pending: list[PendingKey]
    services: dict[str, list[str]]


def list_token(arguments: argparse.Namespace) -> int:
    """List the token that the arguments name."""
    root = server_root(arguments)
    description = describe_token(root, arguments.token)
    with opened(arguments) as token:
        page = _page(arguments, root, description, token.contents())
    now = datetime.now(UTC)
    if arguments.json:
        print_json(_facts(page, now))
    else:
        _print_page(arguments, page, now)
    return _status(arguments, [page])


def list_all_tokens(arguments: argparse.Namespace) -> int:
    """List the internal token and all others; one that cannot be opened is told."""
    if arguments.json:
        return _list_all_as_json(arguments)
    print_line(f"Token: {INTERNAL_TOKEN}")
    status = LIST.run(arguments)
    pages, failed = _all_pages(arguments)
    for page in pages:
        print_line("")
        _print_page(arguments, page, datetime.now(UTC))
    return EXIT_FAILED if failed else max(status, _status(arguments, pages))


def _list_all_as_json(arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    services = services_by_nickname(server_root(arguments))
    with open_token(arguments) as token:
        inventory = token.inventory()
    facts: list[JsonValue] = [
        certificate_facts(record, now, services) for record in inventory.records
    ]
    facts += [pending_facts(key) for key in inventory.pending]
    pages, failed = _all_pages(arguments)
    for page in pages:
        facts += _facts(page, now)
    print_json(facts)
    return EXIT_FAILED if failed or inventory.altered or inventory.missing else EXIT_OK


def _all_pages(arguments: argparse.Namespace) -> tuple[list[_Page], bool]:
    root = server_root(arguments)
    pages: list[_Page] = []
    failed = False
    for description in tokens(root):
        try:
            with open_external_token(root, description.label) as token:
                pages.append(_page(arguments, root, description, token.contents()))
        except TokenError as error:
            print_message(str(error))
            failed = failed or not description.optional
    return pages, failed


def _page(
    arguments: argparse.Namespace,
    root: ServerRoot,
    description: TokenDescription,
    contents: TokenContents,
) -> _Page:
    database = internal_records(root)
    elsewhere = certified_in_database(database)
    records = [
        one for one in contents.records(issuers_in(database)) if one.has_key != bool(arguments.ca)
    ]
    pending = [
        key.pending
        for key in contents.waiting
        if key.pending is not None and key.public_der not in elsewhere
    ]
    if arguments.expiring is not None:
        now = datetime.now(UTC)
        records = [one for one in records if days_left(one.certificate, now) < arguments.expiring]
    return _Page(
        description,
        contents,
        records,
        [] if arguments.ca or arguments.expiring is not None else pending,
        services_by_nickname(root, (description.label, description.module)),
    )


def _print_page(arguments: argparse.Namespace, page: _Page, now: datetime) -> None:
    print_line(f"Token: {page.token.label}  (module {page.token.module})")
    if arguments.ca:
        print_others(page.records, now)
    else:
        print_own(page.records, page.pending, now, page.services)
    for problem in page.contents.unusable:
        print_message(f"note: {problem}")


def _facts(page: _Page, now: datetime) -> list[JsonValue]:
    return [
        *(certificate_facts(record, now, page.services) for record in page.records),
        *(pending_facts(key) for key in page.pending),
    ]


def _status(arguments: argparse.Namespace, pages: list[_Page]) -> int:
    if arguments.expiring is not None and any(page.records for page in pages):
        return EXIT_EXPIRING
    return EXIT_OK


def show_on_token(arguments: argparse.Namespace) -> int:
    """Show a certificate on a token, and what the token says of its key."""
    with opened(arguments) as token:
        contents = token.contents()
        found = token.require(arguments.alias)
    database = internal_records(server_root(arguments))
    record = found.record((*contents.issuers, *issuers_in(database)))
    if arguments.json:
        print_json({**certificate_facts(record, datetime.now(UTC)), **_token_facts(found)})
        return EXIT_OK
    put_out(arguments, record, [*readable_certificate(record), *_token_lines(found)])
    return EXIT_OK


def _token_facts(found: TokenCertificate) -> dict[str, JsonValue]:
    protection = None if found.key is None else found.key.protection
    return {
        "id": found.identifier.hex(),
        "key_id": None if found.key is None else found.key.identifier.hex(),
        "sensitive": None if protection is None else protection.sensitive,
        "extractable": None if protection is None else protection.extractable,
        "never_extractable": None if protection is None else protection.never_extractable,
        "local": None if protection is None else protection.local,
    }


def _token_lines(found: TokenCertificate) -> Iterator[str]:
    yield "    Token:"
    yield f"        {found.token}"
    yield f"        Certificate ID: {found.identifier.hex() or 'none'}"
    if found.key is None:
        yield "        Private Key: not on this token"
    else:
        yield f"        Private Key: {found.key.protection}"
        yield f"        Private Key ID: {found.key.identifier.hex() or 'none'}"
