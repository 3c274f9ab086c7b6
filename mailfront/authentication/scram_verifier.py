"""SCRAM-SHA-256 verifiers as `userPassword` values: made, read, and made up for unknown users.

The form is that of RFC 5803 behind the scheme in braces,
`{SCRAM-SHA-256}iterations:salt$StoredKey:ServerKey`; Dovecot's, with commas, is read too. Passwords
are prepared by SASLprep, because that is what SCRAM clients do (RFC 5802 section 2.2).

A name that is nobody's gets a verifier all the same, derived from a secret of the installation, so
that it stays the same over attempts and restarts and tells nothing (RFC 5802 section 9); its
iterations are those that new verifiers are made with.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.errors import ConfigurationError, OperatorError
from mailfront.interfaces.credentials import ScramVerifier
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.saslprep import saslprep
from mailfront.protocol.sasl.scram import scram_verifier

SCHEME = "SCRAM-SHA-256"
SALT_OCTETS = 16
LEAST_ITERATIONS = 4096
"""RFC 7677 section 4."""
MOST_ITERATIONS = 1_000_000
"""More would be a burden on clients, and on us where the password itself is offered."""

_DIGEST_OCTETS = 32
_LONGEST_SALT = 64
_VALUE = re.compile(
    r"\{SCRAM-SHA-256\}([0-9]{1,7})(?::([^$:,]+)\$([^$:,]+):([^$:,]+)|,([^,]+),([^,]+),([^,]+))",
    re.IGNORECASE,
)
_SECRET = re.compile(rb"[0-9a-f]{64}\n?")


def make_value(password: Secret, iterations: int) -> str:
    """Return the `userPassword` value to store. Blocks for PBKDF2.

    Raises `OperatorError` for a password that SCRAM clients cannot send.
    """
    text = saslprep(password.reveal())
    if not text:
        raise OperatorError(
            "this password cannot be used with SCRAM",
            remedy="choose one without control characters and without unassigned code points",
        )
    salt = secrets.token_bytes(SALT_OCTETS)
    verifier = scram_verifier(text.encode(), salt, iterations)
    salt_text, stored, server = (
        base64.b64encode(part).decode("ascii")
        for part in (verifier.salt, verifier.stored_key, verifier.server_key)
    )
    return f"{{{SCHEME}}}{iterations}:{salt_text}${stored}:{server}"


def parse_value(value: str) -> ScramVerifier | None:
    """Return the verifier in a `userPassword` value, or None if it is another kind of value, or
    one that must not be used."""
    match = _VALUE.fullmatch(value)
    if match is None:
        return None
    iterations = int(match[1])
    try:
        salt, stored, server = (
            base64.b64decode(part, validate=True) for part in match.groups()[1:] if part is not None
        )
    except (binascii.Error, ValueError):
        return None
    bearable = LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS and len(salt) <= _LONGEST_SALT
    if not salt or not bearable or not len(stored) == len(server) == _DIGEST_OCTETS:
        return None
    return ScramVerifier(iterations, salt, stored, server)


def verifier_among(values: Iterable[str]) -> ScramVerifier | None:
    """Return the first verifier among `userPassword` values."""
    return next((found for value in values if (found := parse_value(value))), None)


def matches(value: str, password: Secret) -> bool:
    """Return whether `password` is the one behind a verifier. Blocks for PBKDF2."""
    verifier, text = parse_value(value), saslprep(password.reveal())
    if verifier is None or not text:
        return False
    offered = scram_verifier(text.encode(), verifier.salt, verifier.iterations)
    return hmac.compare_digest(offered.stored_key, verifier.stored_key)


class VerifierForgery:
    """Makes up verifiers, always the same for the same name. `secret` has at least 16 octets."""

    def __init__(self, secret: bytes, iterations: int) -> None:
        self._secret = secret
        self._iterations = iterations

    def verifier(self, user: str) -> ScramVerifier:
        """Return a verifier that no password fits."""
        salt, stored, server = (
            hmac.digest(self._secret, kind + user.encode(errors="surrogatepass"), "sha256")
            for kind in (b"salt\0", b"stored key\0", b"server key\0")
        )
        return ScramVerifier(self._iterations, salt[:SALT_OCTETS], stored, server)


def installation_secret(path: Path) -> bytes:
    """Return the secret in the file at `path`, which is made if there is none.

    Front ends that share a directory must have the same. Raises `ConfigurationError`.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except FileNotFoundError:
        text = secrets.token_hex(32)
        write_durably(path, f"{text}\n".encode("ascii"), mode=0o600)
        return bytes.fromhex(text)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=path) from error
    if mode & 0o077:
        raise ConfigurationError("others may read it", remedy=f"chmod 600 {path}", file=path)
    if _SECRET.fullmatch(content) is None:
        raise ConfigurationError(
            "not 64 hexadecimal digits", remedy="remove it; the server makes a new one", file=path
        )
    return bytes.fromhex(content.decode("ascii").strip())
