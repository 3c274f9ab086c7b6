"""What front ends tell of their clients before the login: IMAP's ID and POP3's XCLIENT.

Takes the values of a command; gives a record that holds what could be read of them. The names are
those that Dovecot sends and reads (`x-originating-ip`, `x-originating-port`, `x-session-id`,
`x-proxy-ttl`; ADDR, PORT, SESSION, TTL). What makes no sense is as if it were not there: an ID may
hold anything (RFC 2971 section 3.3), and nothing here is worth a refused login.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from mailfront.interfaces.forwarded_client import NOTHING_TOLD, ForwardedClient

_ID = {
    b"x-originating-ip": "address",
    b"x-originating-port": "port",
    b"x-session-id": "session",
    b"x-proxy-ttl": "ttl",
}
_XCLIENT = {b"ADDR": "address", b"PORT": "port", b"SESSION": "session", b"TTL": "ttl"}
_NUMBER = re.compile(rb"[0-9]{1,5}")
# No zone (`%…`): it may hold any character, and means nothing on another machine.
_ADDRESS = re.compile(rb"[0-9A-Fa-f:.]{2,45}")
_SESSION = re.compile(rb"[!-~]{1,64}")


def told_by_id(values: Sequence[bytes | None]) -> ForwardedClient:
    """Return what an ID command's names and values tell."""
    found = {
        _ID[name.lower()]: value
        for name, value in zip(values[::2], values[1::2], strict=False)
        if name is not None and value is not None and name.lower() in _ID
    }
    return _client(found) if found else NOTHING_TOLD


def told_by_xclient(argument: bytes) -> ForwardedClient:
    """Return what the attributes of a POP3 XCLIENT command tell."""
    pairs = (word.partition(b"=") for word in argument.split(b" "))
    return _client({_XCLIENT[name]: value for name, _, value in pairs if name in _XCLIENT})


def _client(found: Mapping[str, bytes]) -> ForwardedClient:
    life = _number(found.get("ttl", b""))
    session = found.get("session", b"")
    return ForwardedClient(
        address=_address(found.get("address", b"")),
        port=_number(found.get("port", b"")) or 0,
        time_to_live=life,
        session_id=session.decode("ascii") if _SESSION.fullmatch(session) else "",
    )


def _address(text: bytes) -> str:
    if _ADDRESS.fullmatch(text) is None:
        return ""
    try:
        return str(ipaddress.ip_address(text.decode("ascii")))
    except ValueError:
        return ""


def _number(text: bytes) -> int | None:
    if _NUMBER.fullmatch(text) is None or int(text) > 65535:
        return None
    return int(text)
