"""Sealing of private keys and authentication of rows: what stays secret and what stays unaltered.

A random data key is sealed under a key derived from the database password with scrypt (RFC 7914),
so that opening costs one derivation however many keys there are. Two keys are expanded from the
data key (HKDF, RFC 5869): one seals private keys with AES-256-GCM, the other authenticates rows
with HMAC-SHA256, so that a listing can trust a row without unsealing its private key. Both cover
the same statement of the row (`binding`), hence a changed byte, a key moved to another row or an
altered trust flag is detected. Takes and returns bytes; raises `SealError`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mailfront.interfaces.secret import Secret

KEY_LENGTH = 32
NONCE_LENGTH = 12  # NIST SP 800-38D 8.2: 96 bits, random
SALT_LENGTH = 16
PRESENT_FORM = 2
_FORMS = (1, 2)
# The parameters come from the database file: a hostile one must not exhaust the memory.
_MEMORY_LIMIT = 1 << 30


class SealError(Exception):
    """What was sealed does not open: another key, other circumstances, or a changed byte."""


@dataclass(frozen=True, slots=True)
class DerivationCost:
    """The scrypt parameters: cost (a power of two), block size, parallelisation."""

    n: int = 1 << 17
    r: int = 8
    p: int = 1

    def memory(self) -> int:
        """Return the octets of memory that one derivation takes (RFC 7914 section 2)."""
        return 128 * self.r * (self.n + self.p)

    def is_acceptable(self) -> bool:
        """Whether the parameters are well formed and take a bounded time and memory."""
        return (
            1 < self.n <= 1 << 22
            and self.n & (self.n - 1) == 0
            and 0 < self.r <= 64
            and 0 < self.p <= 16
            and self.memory() <= _MEMORY_LIMIT
        )


# About half a second and 128 MiB for one derivation: OWASP's first choice for scrypt.
TODAYS_COST = DerivationCost()


@dataclass(frozen=True, slots=True)
class SealedDataKey:
    """The data key as it is stored: sealed, with all that is needed to open it but the password.

    `form` 2 says that the database has an authenticated list of its rows, form 1 that it was made
    before there was one; the seal covers the number.
    """

    identity: bytes
    salt: bytes
    cost: DerivationCost
    sealed: bytes
    form: int = PRESENT_FORM


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseKeys:
    """The keys of one opened database, and the random identity of that database."""

    identity: bytes
    sealing: bytes
    authentication: bytes

    def seal(self, plaintext: bytes, statement: bytes) -> bytes:
        """Return `plaintext` sealed so that it opens together with `statement` only."""
        return _seal(self.sealing, plaintext, statement)

    def unseal(self, sealed: bytes, statement: bytes) -> bytes:
        """Return what `seal` was given. Raises `SealError`."""
        return _unseal(self.sealing, sealed, statement)

    def tag(self, statement: bytes, sealed: bytes | None) -> bytes:
        """Return the authentication tag of a row: its statement and its sealed private key."""
        covered = binding(b"row", statement, b"" if sealed is None else sealed)
        return hmac.digest(self.authentication, covered, "sha256")

    def check_tag(self, tag: bytes, statement: bytes, sealed: bytes | None) -> None:
        """Raise `SealError` unless `tag` is the row's."""
        if not hmac.compare_digest(tag, self.tag(statement, sealed)):
            raise SealError("the row was altered")


def binding(*fields: bytes) -> bytes:
    """Return the fields joined unambiguously, each behind its length."""
    return b"".join(struct.pack(">Q", len(field)) + field for field in fields)


def bound_fields(bound: bytes) -> list[bytes]:
    """Return the fields that `binding` joined. Raises `SealError` for other bytes."""
    fields = []
    start = 0
    while start < len(bound):
        begin = start + 8
        start = begin + int.from_bytes(bound[start:begin])
        if start > len(bound):
            raise SealError("fields that were joined otherwise")
        fields.append(bound[begin:start])
    return fields


def new_data_key(
    password: Secret, cost: DerivationCost = TODAYS_COST
) -> tuple[SealedDataKey, DatabaseKeys]:
    """Return a random data key sealed under `password`, and the database keys made from it."""
    data_key = os.urandom(KEY_LENGTH)
    identity = os.urandom(SALT_LENGTH)
    return _wrap(data_key, identity, password, cost), _expand(identity, data_key)


def open_data_key(stored: SealedDataKey, password: Secret) -> DatabaseKeys:
    """Return the database keys. Raises `SealError` on a wrong password or an altered record."""
    return _expand(stored.identity, _unwrap(stored, password))


def rewrap_data_key(
    stored: SealedDataKey, password: Secret, new_password: Secret, cost: DerivationCost
) -> SealedDataKey:
    """Return the same data key in the present form, sealed under another password (or the same).

    Raises `SealError` as `open_data_key` does. The rows stay as they are.
    """
    return _wrap(_unwrap(stored, password), stored.identity, new_password, cost)


def _wrap(
    data_key: bytes, identity: bytes, password: Secret, cost: DerivationCost
) -> SealedDataKey:
    salt = os.urandom(SALT_LENGTH)
    statement = _data_key_statement(identity, salt, cost, PRESENT_FORM)
    sealed = _seal(derive(password, salt, cost), data_key, statement)
    return SealedDataKey(identity, salt, cost, sealed)


def _unwrap(stored: SealedDataKey, password: Secret) -> bytes:
    if not stored.cost.is_acceptable():
        raise SealError("the parameters of the key derivation are out of bounds")
    if stored.form not in _FORMS:
        raise SealError("the data key has an unknown form")
    statement = _data_key_statement(stored.identity, stored.salt, stored.cost, stored.form)
    return _unseal(derive(password, stored.salt, stored.cost), stored.sealed, statement)


def derive(password: Secret, salt: bytes, cost: DerivationCost) -> bytes:
    """Return the key of `KEY_LENGTH` octets that scrypt makes of a password.

    The caller has judged a `cost` that comes from a file.
    """
    # One MiB beyond the bare need: OpenSSL counts its own small buffers in.
    return hashlib.scrypt(
        password.reveal().encode(),
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=cost.memory() + (1 << 20),
        dklen=KEY_LENGTH,
    )


def _data_key_statement(identity: bytes, salt: bytes, cost: DerivationCost, form: int) -> bytes:
    parameters = struct.pack(">QQQ", cost.n, cost.r, cost.p)
    return binding(f"mailfront data key {form}".encode(), identity, salt, parameters)


def _expand(identity: bytes, data_key: bytes) -> DatabaseKeys:
    def subkey(purpose: bytes) -> bytes:
        return HKDFExpand(SHA256(), KEY_LENGTH, binding(purpose, identity)).derive(data_key)

    return DatabaseKeys(
        identity=identity,
        sealing=subkey(b"mailfront private key sealing 1"),
        authentication=subkey(b"mailfront row authentication 1"),
    )


def _seal(key: bytes, plaintext: bytes, statement: bytes) -> bytes:
    nonce = os.urandom(NONCE_LENGTH)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, statement)


def _unseal(key: bytes, sealed: bytes, statement: bytes) -> bytes:
    nonce, ciphertext = sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, statement)
    except (InvalidTag, ValueError) as error:
        raise SealError("what was sealed does not open") from error
