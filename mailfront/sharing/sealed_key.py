"""A ticket key as it lies in the shared store: sealed under the site's secret (AES-256-GCM).

Takes a key and the name of its entry; gives the octets to store, and the key back. The entry's name
(the period that the key is for, in it) is authenticated with it, so an entry that somebody copied
and put back under another name does not open. No input or output.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailfront.sharing.site_secret import SiteSecret
from mailfront.tls.session_tickets import TicketKey

_VERSION = b"\x01"
_NONCE_OCTETS = 12
# When it was made, in milliseconds since 1970; name, authentication and encryption of the key.
_CONTENT = struct.Struct(">Q16s32s32s")
_TAG_OCTETS = 16
_OCTETS = len(_VERSION) + _NONCE_OCTETS + _CONTENT.size + _TAG_OCTETS


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key of the site. `made`: when, in seconds since 1970, by the clock of who made it."""

    made: float
    key: TicketKey


class KeySeal:
    """Seals and opens the ticket keys of one site."""

    def __init__(self, site: SiteSecret) -> None:
        self._cipher = AESGCM(site.key("ticket keys"))

    def seal(self, name: str, shared: SharedKey) -> bytes:
        """Return what to store under `name`."""
        key = shared.key
        content = _CONTENT.pack(
            int(shared.made * 1000), key.name, key.authentication, key.encryption
        )
        nonce = os.urandom(_NONCE_OCTETS)
        return _VERSION + nonce + self._cipher.encrypt(nonce, content, _bound_to(name))

    def open(self, name: str, sealed: bytes) -> SharedKey | None:
        """Return the key stored under `name`, None if it was not sealed for that by this site."""
        if len(sealed) != _OCTETS or not sealed.startswith(_VERSION):
            return None
        nonce, content = sealed[1 : 1 + _NONCE_OCTETS], sealed[1 + _NONCE_OCTETS :]
        try:
            opened = self._cipher.decrypt(nonce, content, _bound_to(name))
        except InvalidTag:
            return None
        made, key_name, authentication, encryption = _CONTENT.unpack(opened)
        return SharedKey(made / 1000, TicketKey(made / 1000, key_name, authentication, encryption))


def _bound_to(name: str) -> bytes:
    return _VERSION + name.encode()
