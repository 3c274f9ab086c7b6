"""Password hashes: making and checking `userPassword` values (RFC 2307 section 5.3 form).

New hashes are `{ARGON2}$argon2id$…`, OpenLDAP's name for them, with OWASP's parameters of least
memory (19 MiB, two passes: some 20 ms), since a server runs many at once. `{SSHA}`, `{SSHA256}`
and `{SSHA512}` are checked for entries that come from elsewhere. Clear text and `{CRYPT}` are
not: the first gives passwords away with the file, the second depends on the C library.

Every check costs at least one argon2id of those parameters, user or not, so that its time tells
nothing. Passwords are prepared by the OpaqueString profile (RFC 8265 section 4.2).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from mailfront.authentication import scram_verifier
from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret

MAXIMUM_PASSWORD_OCTETS = 1024
GENERATED_PASSWORD_LETTERS = 20

_MAXIMUM_MEMORY_KIB = 1024 * 1024
_MAXIMUM_PASSES = 64
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_SCHEME = re.compile(r"\{([A-Za-z0-9._/-]{1,32})\}(.*)", re.DOTALL)
_SALTED_DIGESTS = {"SSHA": "sha1", "SSHA256": "sha256", "SSHA512": "sha512"}
# No letters that people confuse when they copy a password from a screen.
_GENERATED_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def prepare(password: Secret) -> bytes | None:
    """Return the octets that are hashed, or None for a text that can be nobody's password:
    empty, too long, or with control characters."""
    text = password.reveal()
    if not text or len(text) > MAXIMUM_PASSWORD_OCTETS:
        return None
    if not text.isascii():
        spaced = "".join(" " if unicodedata.category(sign) == "Zs" else sign for sign in text)
        text = unicodedata.normalize("NFC", spaced)
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        return None
    octets = text.encode()
    return octets if len(octets) <= MAXIMUM_PASSWORD_OCTETS else None


def hash_password(password: Secret) -> str:
    """Return the `userPassword` value to store. Raises `OperatorError` for an unfit password."""
    octets = prepare(password)
    if octets is None:
        raise OperatorError(
            "this password cannot be used",
            remedy=f"1 to {MAXIMUM_PASSWORD_OCTETS} octets, no control characters",
        )
    return "{ARGON2}" + _HASHER.hash(octets)


def generate_password() -> Secret:
    """Return a random password of some 99 bits, easy to type."""
    letters = [secrets.choice(_GENERATED_ALPHABET) for _ in range(GENERATED_PASSWORD_LETTERS)]
    return Secret("-".join("".join(letters[start : start + 5]) for start in range(0, 20, 5)))


def scheme_problem(value: str) -> str:
    """Return why a `userPassword` value can never be checked, or an empty text. The answer does
    not repeat the value."""
    parts = _SCHEME.fullmatch(value)
    if parts is None:
        return "a password in clear text is not accepted; store a hash (mailfront user passwd)"
    scheme, rest = parts[1].upper(), parts[2]
    if scheme == "ARGON2":
        return "" if _argon2_is_bearable(rest) else "not an argon2 hash, or one that costs too much"
    if scheme in _SALTED_DIGESTS:
        return "" if _salted_parts(scheme, rest) else f"not a {{{scheme}}} hash"
    if scheme == scram_verifier.SCHEME:
        return "" if scram_verifier.parse_value(value) else f"not a {{{scheme}}} verifier"
    return f"the scheme {{{scheme}}} is not supported; set a new password (mailfront user passwd)"


def verify(values: Sequence[str], password: Secret) -> bool:
    """Return whether `password` is the one behind any of the `userPassword` values.

    Blocks for at least one argon2id, whatever is asked.
    """
    octets = prepare(password)
    offered = b"" if octets is None else octets
    matched = tried_argon2 = False
    for value in values:
        parts = _SCHEME.fullmatch(value)
        if parts is None:
            continue
        scheme, rest = parts[1].upper(), parts[2]
        if scheme == "ARGON2" and _argon2_is_bearable(rest):
            tried_argon2 = True
            matched |= _argon2_matches(rest, offered)
        elif scheme in _SALTED_DIGESTS:
            matched |= _salted_matches(scheme, rest, offered)
        elif scheme == scram_verifier.SCHEME and octets is not None and not matched:
            matched = scram_verifier.matches(value, password)
    if not tried_argon2:
        _argon2_matches(_nobodys_hash(), offered)
    return matched and octets is not None


class PasswordChecker:
    """Runs `verify` in a few threads (argon2 lets go of the interpreter lock).

    How many are asked for at a time is the caller's to bound.
    """

    def __init__(self, *, threads: int = 2) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        _nobodys_hash()

    def check(self, values: Sequence[str], password: Secret) -> Awaitable[bool]:
        """Begin a check; awaited, it gives what `verify` returns."""
        return asyncio.wrap_future(self._executor.submit(verify, tuple(values), password))

    def close(self) -> None:
        """Drop what waits and let the threads end."""
        self._executor.shutdown(wait=False, cancel_futures=True)


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_bytes(32))


def _argon2_is_bearable(text: str) -> bool:
    try:
        parameters = argon2.extract_parameters(text)
    except InvalidHashError:
        return False
    return parameters.memory_cost <= _MAXIMUM_MEMORY_KIB and parameters.time_cost <= _MAXIMUM_PASSES


def _argon2_matches(text: str, offered: bytes) -> bool:
    try:
        return _HASHER.verify(text, offered)
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False


def _salted_parts(scheme: str, text: str) -> tuple[bytes, bytes] | None:
    try:
        octets = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    size = hashlib.new(_SALTED_DIGESTS[scheme], usedforsecurity=False).digest_size
    return (octets[:size], octets[size:]) if len(octets) > size else None


def _salted_matches(scheme: str, text: str, offered: bytes) -> bool:
    parts = _salted_parts(scheme, text)
    if parts is None:
        return False
    digest, salt = parts
    return hmac.compare_digest(
        hashlib.new(_SALTED_DIGESTS[scheme], offered + salt).digest(), digest
    )
