"""Trust flags of a certificate: `C`, `T` and `u`, after NSS's letters (certutil, option -t).

`C` trusts a CA for server certificates, `T` for client certificates, `u` says that the private key
is at hand. Letters in, flags out, and back.
"""

from __future__ import annotations

import enum

from mailfront.errors import KeystoreError


class TrustFlags(enum.Flag):
    """What a certificate is trusted for, and whether its private key is present."""

    NONE = 0
    SERVERS = 1
    CLIENTS = 2
    USER = 4

    @property
    def letters(self) -> str:
        """The flags as letters in the fixed order `CTu`."""
        return "".join(letter for letter, flag in _LETTERS.items() if flag in self)

    @property
    def is_authority(self) -> bool:
        """Whether the certificate is a CA trusted for anything."""
        return bool(self & (TrustFlags.SERVERS | TrustFlags.CLIENTS))


_LETTERS = {"C": TrustFlags.SERVERS, "T": TrustFlags.CLIENTS, "u": TrustFlags.USER}


def parse_trust(letters: str) -> TrustFlags:
    """Return the flags that `letters` names, in any order. Raises `KeystoreError`."""
    flags = TrustFlags.NONE
    for letter in letters:
        flag = _LETTERS.get(letter)
        if flag is None:
            raise KeystoreError(
                f"unknown trust flag {letter!r}",
                remedy="the flags are C (CA for servers), T (CA for clients) and u (private key)",
            )
        flags |= flag
    return flags
