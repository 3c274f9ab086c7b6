"""Where the store is that front ends share: `redis://[USER@]HOST[:PORT][/NUMBER]`, or `rediss://`.

Text in, a record out. With `rediss` TLS comes first. Without it, names and scores and the store's
own password would travel in clear, so a store that is not on this machine is taken only if the URL
ends in `?tls=none`. A password in the URL is refused, and not repeated.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mailfront.configuration.option_types import BadValueError, Value
from mailfront.configuration.upstream_list import is_loopback

_SCHEMES = {"redis": False, "rediss": True}
_PORT = 6379
_MOST_DATABASES = 16384
_LONGEST = 1024
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)
_DATABASE = re.compile(r"/?|/[0-9]{1,5}", re.ASCII)
_NO_TLS = "tls=none"


@dataclass(frozen=True, slots=True)
class SharedStoreAddress:
    """Where the store is; `user` is who logs in there, empty: nobody. `tls`: from the first octet;
    `clear_allowed`: the operator said that it may be without, over a network too."""

    host: str
    port: int = _PORT
    tls: bool = False
    user: str = ""
    database: int = 0
    clear_allowed: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        scheme = "rediss" if self.tls else "redis"
        number = f"/{self.database}" if self.database else ""
        clear = f"?{_NO_TLS}" if self.clear_allowed else ""
        return f"{scheme}://{user}{host}:{self.port}{number}{clear}"


def parse_shared_store(text: str) -> SharedStoreAddress | None:
    """Return what the URL says, None for an empty text. Raises `BadValueError`."""
    if not text:
        return None
    if len(text) > _LONGEST or not text.isprintable() or " " in text:
        raise BadValueError("that is no URL")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadValueError("that is no URL; write redis://HOST:PORT") from None
    if parts.password is not None:
        raise BadValueError(
            "a password does not belong here: write redis://USER@HOST, and the password into the "
            "file that local.sharedstore.passfile names"
        )
    if parts.scheme not in _SCHEMES:
        raise BadValueError("expected redis://HOST:PORT or, with TLS, rediss://HOST:PORT")
    address = SharedStoreAddress(
        host=_host(parts),
        port=port or _PORT,
        tls=_SCHEMES[parts.scheme],
        user=_user(parts),
        database=_database(parts),
        clear_allowed=parts.query == _NO_TLS,
    )
    if parts.fragment or parts.query not in {"", _NO_TLS} or (address.tls and parts.query):
        raise BadValueError(f"after the host only /NUMBER and, with redis://, ?{_NO_TLS} may stand")
    if not (address.tls or address.clear_allowed or is_loopback(address.host)):
        raise BadValueError(
            f"{address.host} would be spoken to in clear: write rediss://, or end the URL in "
            f"?{_NO_TLS} if the network between is protected"
        )
    return address


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if _NAME.fullmatch(host) is None:
            raise BadValueError("the URL has no host; write redis://HOST:PORT") from None
        return host


def _user(parts: SplitResult) -> str:
    user = parts.username or ""
    if user and _NAME.fullmatch(user) is None:
        raise BadValueError("the user of the store has letters, digits, dots, - and _ only")
    return user


def _database(parts: SplitResult) -> int:
    if _DATABASE.fullmatch(parts.path) is None:
        raise BadValueError("after the host only the number of a database may stand, such as /2")
    number = int(parts.path.strip("/") or "0")
    if number >= _MOST_DATABASES:
        raise BadValueError(f"the number of a database is below {_MOST_DATABASES}")
    return number


@dataclass(frozen=True, slots=True)
class SharedStoreUrl:
    """The type of the option."""

    description: str = "URL of a Redis or Valkey server, or empty"

    def parse(self, text: str) -> str:
        """Return the URL with nothing left out, or the empty text."""
        address = parse_shared_store(text)
        return str(address) if address is not None else ""

    def text(self, value: Value) -> str:
        """Return the URL."""
        return str(value)
