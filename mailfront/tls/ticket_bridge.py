"""Session tickets of a context sealed under our keys, through OpenSSL's ticket key callback.

Takes a context and the keys of its service. Python's `ssl` has no setter for either, so this goes
the way of `tls.openssl`, after its self-check, and needs OpenSSL 3.0. Where it is not to be had
`bind` changes nothing: OpenSSL's own random keys then live as long as the context.
"""

from __future__ import annotations

import ctypes  # noqa: TID251 - a callback, behind the self-check of tls.openssl
import functools
import hashlib
import hmac
import logging
import os
import ssl
from collections.abc import Callable
from weakref import WeakKeyDictionary

from mailfront.tls import openssl
from mailfront.tls.session_tickets import TicketKey, TicketKeys

_log = logging.getLogger("mailfront.tls")

_NAME_OCTETS = 16
_VECTOR_OCTETS = 16
_LONGEST_SESSION_CONTEXT = 32

# What the callback answers (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)).
_NO_TICKET = 0
_DONE = 1
_DONE_AND_RENEW = 2

# SSL *, key name, initialisation vector, EVP_CIPHER_CTX *, EVP_MAC_CTX *, whether to seal.
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
)
_Answer = Callable[[int, int, int, int, int, int], int]


class _Parameter(ctypes.Structure):
    """OSSL_PARAM(3)."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("data_type", ctypes.c_uint),
        ("data", ctypes.c_char_p),
        ("data_size", ctypes.c_size_t),
        ("return_size", ctypes.c_size_t),
    )


_UTF8_STRING = 4
_OCTET_STRING = 5
_DIGEST = b"SHA256"
_Parameters = _Parameter * 3


class _Secrets:
    """What a key is for tickets of one purpose alone, as OpenSSL takes it."""

    __slots__ = ("encryption", "parameters")

    def __init__(self, key: TicketKey, purpose: bytes) -> None:
        self.encryption = hmac.digest(key.encryption, purpose, "sha256")
        authentication = hmac.digest(key.authentication, purpose, "sha256")
        self.parameters = _Parameters(
            _Parameter(b"key", _OCTET_STRING, authentication, len(authentication), 0),
            _Parameter(b"digest", _UTF8_STRING, _DIGEST, len(_DIGEST), 0),
            _Parameter(None, 0, None, 0, 0),
        )


class _Purpose:
    """The keys as they are for tickets of one purpose: their names there, and their secrets, which
    are forgotten with the key itself (nobody opens an old ticket later)."""

    def __init__(self, purpose: bytes) -> None:
        self._purpose = purpose
        mask = hashlib.sha256(b"mailfront ticket name\0" + purpose).digest()[:_NAME_OCTETS]
        self._mask = int.from_bytes(mask)
        self._secrets: WeakKeyDictionary[TicketKey, _Secrets] = WeakKeyDictionary()

    def masked(self, name: bytes) -> bytes:
        """The name that a key has in tickets, and back again."""
        return (int.from_bytes(name) ^ self._mask).to_bytes(_NAME_OCTETS)

    def secrets_of(self, key: TicketKey) -> _Secrets:
        """The key's secrets."""
        secrets = self._secrets.get(key)
        if secrets is None:
            secrets = self._secrets[key] = _Secrets(key, self._purpose)
        return secrets


class _TicketLibrary:
    """The functions that tickets need. Raises `AttributeError` if OpenSSL is older than 3.0."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        pointer = ctypes.c_void_p
        self.set_callback = handle.SSL_CTX_set_tlsext_ticket_key_evp_cb
        self.set_callback.argtypes = (pointer, _Callback)
        self.set_callback.restype = ctypes.c_int
        self.set_session_context = handle.SSL_CTX_set_session_id_context
        self.set_session_context.argtypes = (pointer, ctypes.c_char_p, ctypes.c_uint)
        self.set_session_context.restype = ctypes.c_int
        cipher = handle.EVP_aes_256_cbc
        cipher.argtypes = ()
        cipher.restype = pointer
        self._cipher = cipher()
        self._begin = {1: handle.EVP_EncryptInit_ex, 0: handle.EVP_DecryptInit_ex}
        for begin in self._begin.values():
            begin.argtypes = (pointer, pointer, pointer, ctypes.c_char_p, pointer)
            begin.restype = ctypes.c_int
        self._set_parameters = handle.EVP_MAC_CTX_set_params
        self._set_parameters.argtypes = (pointer, pointer)
        self._set_parameters.restype = ctypes.c_int

    def begin(self, secrets: _Secrets, vector: int, cipher: int, mac: int, seal: int) -> bool:
        """Set up encryption or decryption, and authentication, with `secrets`."""
        begin = self._begin[seal]
        return bool(
            begin(cipher, self._cipher, None, secrets.encryption, vector) == 1
            and self._set_parameters(mac, ctypes.byref(secrets.parameters)) == 1
        )


@functools.cache
def _library() -> _TicketLibrary | None:
    linked = openssl.linked_library()
    if isinstance(linked, str):
        return None
    try:
        return _TicketLibrary(linked.handle)
    except AttributeError:
        return None


def available() -> bool:
    """Whether tickets can be sealed under our own keys here."""
    return _library() is not None


class TicketSeal:
    """OpenSSL's way to the keys of one service; for every context that it ever has."""

    def __init__(self, keys: TicketKeys) -> None:
        self._keys = keys

    def bind(self, context: ssl.SSLContext, purpose: bytes) -> bool:
        """Seal and open the tickets of `context` with the keys; False if that is impossible here.

        A ticket resumes only in contexts of the same `purpose` (32 octets at most): it is sealed
        under keys of that purpose, because newer Pythons set one session context for all of their
        connections, which would otherwise tell the purposes apart.
        """
        library = _library()
        if library is None:
            return False
        assert len(purpose) <= _LONGEST_SESSION_CONTEXT
        # A context may outlive its service, and would call what is no longer there.
        callback = _callbacks[context] = _Callback(_answer(self._keys, purpose))
        pointer = openssl.context_pointer(context)
        return bool(
            library.set_session_context(pointer, purpose, len(purpose)) == 1
            and library.set_callback(pointer, callback) == 1
        )


_callbacks: WeakKeyDictionary[ssl.SSLContext, object] = WeakKeyDictionary()


def _answer(keys: TicketKeys, purpose_name: bytes) -> _Answer:
    purpose = _Purpose(purpose_name)

    def answer(_tls: int, name: int, vector: int, cipher: int, mac: int, seal: int) -> int:
        try:
            begin = _seal if seal else _open
            return begin(keys, purpose, name, vector, cipher, mac)
        except Exception:
            # Nothing may leave through OpenSSL; the client makes a full handshake.
            _log.exception("a session ticket could not be sealed or opened")
            return _NO_TICKET

    return answer


def _seal(
    keys: TicketKeys, purpose: _Purpose, name: int, vector: int, cipher: int, mac: int
) -> int:
    library = _library()
    assert library is not None
    key = keys.sealing_key()
    ctypes.memmove(name, purpose.masked(key.name), _NAME_OCTETS)
    ctypes.memmove(vector, os.urandom(_VECTOR_OCTETS), _VECTOR_OCTETS)
    begun = library.begin(purpose.secrets_of(key), vector, cipher, mac, 1)
    return _DONE if begun else _NO_TICKET


def _open(
    keys: TicketKeys, purpose: _Purpose, name: int, vector: int, cipher: int, mac: int
) -> int:
    library = _library()
    assert library is not None
    key = keys.opening_key(purpose.masked(ctypes.string_at(name, _NAME_OCTETS)))
    if key is None or not library.begin(purpose.secrets_of(key), vector, cipher, mac, 0):
        return _NO_TICKET
    return _DONE if keys.is_sealing(key) else _DONE_AND_RENEW
