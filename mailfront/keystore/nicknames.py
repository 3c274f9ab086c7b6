"""Nicknames of certificates, the tokens that qualify them, and personalities.

A personality is what a service presents: a comma-separated list of nicknames, each of which may be
qualified by its token as `token:nickname`. An unqualified one is in the internal token.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from mailfront.errors import KeystoreError

INTERNAL_TOKEN = "Internal (Software) Token"  # noqa: S105 (a name, not a password)
# The value of encryption.rsa.nsssltoken that stands for the internal token.
_INTERNAL_SHORT_NAME = "internal"
MAXIMUM_LENGTH = 255
DEFAULT_NICKNAME = "Server-Cert"


@dataclass(frozen=True, slots=True)
class QualifiedNickname:
    """A nickname and the token that holds it."""

    token: str
    nickname: str

    @property
    def is_internal(self) -> bool:
        """Whether the certificate is in the internal token."""
        return self.token == INTERNAL_TOKEN

    def __str__(self) -> str:
        return self.nickname if self.is_internal else f"{self.token}:{self.nickname}"


def is_internal(token: str) -> bool:
    """Whether a token's name is that of the internal one, in full or in short."""
    return token == INTERNAL_TOKEN or token.strip().lower() == _INTERNAL_SHORT_NAME


def check_nickname(nickname: str) -> None:
    """Raise `KeystoreError` unless `nickname` can be named in an option and shown on a line."""
    remedy = "a nickname is printable text without comma, colon and outer blanks"
    if not nickname:
        raise KeystoreError("the nickname is empty", remedy=remedy)
    if len(nickname) > MAXIMUM_LENGTH:
        raise KeystoreError(
            f"the nickname has {len(nickname)} characters",
            remedy=f"at most {MAXIMUM_LENGTH} are allowed",
        )
    if nickname != nickname.strip() or not nickname.isprintable() or set(nickname) & set(",:"):
        raise KeystoreError(f"{nickname!r} cannot be a nickname", remedy=remedy)


def nickname_from(text: str) -> str:
    """Return the nickname nearest to a name that another program gave, such as `Web - Ours, Inc`.

    It is empty if nothing of the name can stand in a nickname.
    """
    allowed = (
        "-" if character in ",:" else character if character.isprintable() else " "
        for character in text
    )
    return " ".join("".join(allowed).split())[:MAXIMUM_LENGTH].strip()


def parse_personality(text: str) -> tuple[QualifiedNickname, ...]:
    """Return the nicknames in `text`, in their order, for example `HSM One:imap-ec, imap-rsa`.

    Raises `KeystoreError` where an item is empty, malformed or named twice.
    """
    named: list[QualifiedNickname] = []
    for item in text.split(","):
        token, colon, nickname = item.partition(":")
        if not colon:
            token, nickname = INTERNAL_TOKEN, item
        token, nickname = token.strip(), nickname.strip()
        if is_internal(token):
            token = INTERNAL_TOKEN
        if not token or not token.isprintable():
            raise KeystoreError(
                f"{item.strip()!r} names no token before its colon",
                remedy="write token:nickname, or the nickname alone for the internal token",
            )
        check_nickname(nickname)
        qualified = QualifiedNickname(token, nickname)
        if qualified in named:
            raise KeystoreError(
                f"the nickname {qualified} is named twice", remedy="name each certificate once"
            )
        named.append(qualified)
    return tuple(named)


def unknown_nickname(nickname: str, known: Iterable[str]) -> KeystoreError:
    """Return the error for a nickname that no certificate has; it offers the nearest known ones."""
    names = sorted(known)
    by_folded_name = {name.casefold(): name for name in reversed(names)}
    near = difflib.get_close_matches(nickname.casefold(), by_folded_name, n=3, cutoff=0.5)
    if near:
        remedy = "did you mean " + " or ".join(by_folded_name[name] for name in near) + "?"
    elif names:
        remedy = "`msgcert list-certs` shows the nicknames that exist"
    else:
        remedy = "the database holds no certificate yet: `msgcert add-selfsign-cert` makes one"
    return KeystoreError(f"there is no certificate with the nickname {nickname!r}", remedy=remedy)
