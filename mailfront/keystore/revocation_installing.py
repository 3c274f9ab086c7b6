"""A CA's revocation list comes into the certificate database, in place of its former one.

Takes the opened token, the CA's certificate and the octets of a list; judges the list before it
counts, and refuses one that is older than the present, which would take revocations back. Raises
`KeystoreError`.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from mailfront.errors import KeystoreError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.revocation_lists import (
    RevocationList,
    authority_key,
    parse_revocation_list,
    require_believable,
    revocation_list_der,
)
from mailfront.keystore.revocation_table import RevocationTable


def install_revocation_list(
    token: InternalToken,
    authority: x509.Certificate,
    octets: bytes,
    now: datetime,
    *,
    force: bool = False,
) -> RevocationList:
    """Store the list (DER or PEM) of a CA; `force`: though it is older than the present one."""
    der = revocation_list_der(octets)
    found = parse_revocation_list(der)
    require_believable(der, found, authority, now)
    with token.change() as step:
        table = step.revocation_lists
        if not force and (present := _present(table, authority)) is not None:
            _require_newer(found, present)
        table.put(authority, der)
    return found


def put_unless_older(table: RevocationTable, authority: x509.Certificate, der: bytes) -> None:
    """Store a list that was believed before, unless a newer one of the CA is there."""
    present = _present(table, authority)
    if present is None or not _is_older(parse_revocation_list(der), present):
        table.put(authority, der)


def installed_lists(token: InternalToken) -> list[tuple[x509.Certificate, RevocationList]]:
    """All lists, each with the certificate of its CA."""
    with token.revocation_lists() as table:
        rows = [table.read(stored.issuer) for stored in table.stored()]
    return [(row[0], parse_revocation_list(row[1])) for row in rows if row is not None]


def _present(table: RevocationTable, authority: x509.Certificate) -> RevocationList | None:
    try:
        row = table.read(authority_key(authority))
    except KeystoreError:
        # Altered behind our back: any list that the CA signed is better.
        return None
    return parse_revocation_list(row[1]) if row is not None else None


def _is_older(found: RevocationList, present: RevocationList) -> bool:
    if found.number is not None and present.number is not None:
        return found.number < present.number
    return found.this_update < present.this_update


def _require_newer(found: RevocationList, present: RevocationList) -> None:
    if _is_older(found, present):
        raise KeystoreError(
            f"the list ({_name(found)}) is older than the present one ({_name(present)})",
            remedy="get the newest from the CA; with --force it is taken all the same",
        )


def _name(found: RevocationList) -> str:
    number = "" if found.number is None else f"number {found.number}, "
    return f"{number}of {found.this_update:%Y-%m-%d %H:%M} UTC"
