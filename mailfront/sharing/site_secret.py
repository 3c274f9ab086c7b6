"""The secret of a site, which all of its front ends hold, and the keys that are derived from it.

Takes the secret as the operator wrote it; gives one independent key for each purpose (HKDF,
RFC 5869), so that what one of them gives away tells nothing of another. It must be random: no work
is spent on guessing being slow, but one that is plainly too short is refused.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailfront.configuration.secret_file import read_secret_file
from mailfront.errors import ConfigurationError
from mailfront.interfaces.secret import Secret

SHORTEST_SECRET = 32
_KEY_OCTETS = 32
_MARK_OCTETS = 6


class SiteSecret:
    """Derives keys from `secret`. `mark` names the site in the store, and tells nothing of it."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self.mark = self.key("name of the site")[:_MARK_OCTETS].hex()

    def key(self, purpose: str) -> bytes:
        """Return the 32 octets for `purpose`."""
        derivation = HKDF(SHA256(), _KEY_OCTETS, salt=None, info=f"mailfront {purpose}".encode())
        return derivation.derive(self._secret.reveal().encode())


def read_site_secret(path: Path) -> SiteSecret:
    """Return the secret in the file at `path`. Raises `ConfigurationError`."""
    secret = read_secret_file(path)
    if len(secret.reveal()) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"the secret of the site is shorter than {SHORTEST_SECRET} characters",
            remedy=f"write a random one, the same on all front ends: openssl rand -hex 32 > {path}",
            file=path,
        )
    return SiteSecret(secret)
