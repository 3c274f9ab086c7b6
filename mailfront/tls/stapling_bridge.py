"""OCSP responses stapled to handshakes, and read from them, through OpenSSL's status callback.

Takes contexts and, per certificate, the response of its issuer. A client that asks for the status
(RFC 6066 section 8, RFC 8446 section 4.4.2.1) gets the response of the very certificate that
OpenSSL chose for this handshake. Python's `ssl` has no setter for it, so this goes the way of
`tls.openssl`, after its self-check and one more. Where it is not to be had `unavailable` says why,
and handshakes go on without.
"""

from __future__ import annotations

import ctypes  # noqa: TID251 - a callback, behind the self-check of tls.openssl
import functools
import itertools
import logging
import ssl
import time
import weakref
from collections.abc import Callable

from mailfront.tls import openssl

_log = logging.getLogger("mailfront.tls")

# Values of <openssl/tls1.h>, the same in every version from 1.1.1 on.
_SET_CALLBACK = 63
_SET_CALLBACK_ARGUMENT = 64
_SET_TYPE = 65
_GET_RESPONSE = 70
_SET_RESPONSE = 71
_GET_CALLBACK = 128
_GET_CALLBACK_ARGUMENT = 129
_TYPE_OCSP = 1

# What the callback answers: in a server (SSL_CTX_set_tlsext_status_cb(3)), and in a client.
_STAPLED = 0
_NOTHING_TO_STAPLE = 3
_GO_ON = 1

MAXIMUM_STAPLE = 16 * 1024 - 4
"""With a longer one, OpenSSL's clients give TLS 1.2 up: the message must not exceed a record."""

_SHA256_OCTETS = 32

# SSL *, and the argument that was set for its context.
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class _StaplingLibrary:
    """The functions that stapling needs. Raises `AttributeError` if OpenSSL lacks one."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        # Each look-up by index makes an object of its own: others' argument types stay.
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self.set_callback = handle["SSL_CTX_callback_ctrl"]
        self.set_callback.argtypes = (pointer, number, _Callback)
        self.set_callback.restype = ctypes.c_long
        self.control_context = handle["SSL_CTX_ctrl"]
        self.control_context.argtypes = (pointer, number, ctypes.c_long, pointer)
        self.control_context.restype = ctypes.c_long
        self.control = handle["SSL_ctrl"]
        self.control.argtypes = (pointer, number, ctypes.c_long, pointer)
        self.control.restype = ctypes.c_long
        self.certificate = handle["SSL_get_certificate"]
        self.certificate.argtypes = (pointer,)
        self.certificate.restype = pointer
        self.digest = handle["X509_digest"]
        self.digest.argtypes = (pointer, pointer, pointer, pointer)
        self.digest.restype = number
        sha256 = handle["EVP_sha256"]
        sha256.argtypes = ()
        sha256.restype = pointer
        self.sha256 = sha256()
        self.allocate = handle["CRYPTO_malloc"]
        self.allocate.argtypes = (ctypes.c_size_t, ctypes.c_char_p, number)
        self.allocate.restype = pointer
        self.release = handle["CRYPTO_free"]
        self.release.argtypes = (pointer, ctypes.c_char_p, number)
        self.release.restype = None

    def fault(self) -> str:
        """Why it must not be used, or an empty text: what is set is read back."""
        probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context = openssl.context_pointer(probe)
        callback, argument = ctypes.c_void_p(), ctypes.c_void_p()
        if (
            self.set_callback(context, _SET_CALLBACK, _staple) == 1
            and self.control_context(context, _SET_CALLBACK_ARGUMENT, 0, _SELF_CHECK) == 1
            and self.control_context(context, _GET_CALLBACK, 0, ctypes.byref(callback)) == 1
            and self.control_context(context, _GET_CALLBACK_ARGUMENT, 0, ctypes.byref(argument))
            == 1
            and callback.value == ctypes.cast(_staple, ctypes.c_void_p).value
            and argument.value == _SELF_CHECK
        ):
            return ""
        return "the self-check failed: what is set cannot be read back"

    def bind(self, context: ssl.SSLContext, callback: object, argument: int) -> bool:
        """Have `callback` asked, with `argument`, about handshakes in `context`."""
        pointer = openssl.context_pointer(context)
        return bool(
            self.control_context(pointer, _SET_CALLBACK_ARGUMENT, 0, argument) == 1
            and self.set_callback(pointer, _SET_CALLBACK, callback) == 1
        )

    def served_certificate(self, tls: int) -> bytes:
        """The SHA-256 digest of the certificate chosen for a handshake; empty without one."""
        certificate = self.certificate(tls)
        digest = ctypes.create_string_buffer(_SHA256_OCTETS)
        if not certificate or self.digest(certificate, self.sha256, digest, None) != 1:
            return b""
        return digest.raw

    def staple(self, tls: int, response: bytes) -> bool:
        """Give a handshake the response, in memory that OpenSSL frees with the connection."""
        memory = self.allocate(len(response), None, 0)
        if not memory:
            return False
        ctypes.memmove(memory, response, len(response))
        if self.control(tls, _SET_RESPONSE, len(response), memory) == 1:
            return True
        self.release(memory, None, 0)
        return False

    def stapled(self, tls: int) -> bytes:
        """What a server stapled, in a client; empty if nothing."""
        memory = ctypes.c_void_p()
        length = self.control(tls, _GET_RESPONSE, 0, ctypes.byref(memory))
        return ctypes.string_at(memory, length) if memory and length > 0 else b""


_SELF_CHECK = 0x5A5A


@functools.cache
def _library() -> _StaplingLibrary | str:
    linked = openssl.linked_library()
    if isinstance(linked, str):
        return linked
    try:
        library = _StaplingLibrary(linked.handle)
    except AttributeError:
        return "the linked OpenSSL lacks a function that it needs"
    return library.fault() or library


def unavailable() -> str:
    """Why nothing can be stapled here; empty if it can."""
    library = _library()
    return library if isinstance(library, str) else ""


class Staples:
    """The responses that handshakes are given, by certificate; each until its end.

    May be used by several threads. `clock` gives the seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._responses: dict[bytes, tuple[bytes, float]] = {}
        # What OpenSSL holds is a number, never a reference: a context may outlive this object.
        self._number = next(_numbers)
        _bound[self._number] = self

    def bind(self, context: ssl.SSLContext) -> bool:
        """Staple to the handshakes of `context`; False if that is impossible here."""
        library = _library()
        return isinstance(library, _StaplingLibrary) and library.bind(
            context, _staple, self._number
        )

    def put(self, fingerprint: bytes, response: bytes, until: float) -> None:
        """Staple `response` (`MAXIMUM_STAPLE` at most) where the certificate with that SHA-256
        digest is served, `until` that time."""
        assert len(response) <= MAXIMUM_STAPLE
        self._responses[fingerprint] = (response, until)

    def drop(self, fingerprint: bytes) -> None:
        """Staple nothing to that certificate any more."""
        self._responses.pop(fingerprint, None)

    def current(self, fingerprint: bytes) -> bytes:
        """The response for a certificate; empty if there is none that counts now."""
        response, until = self._responses.get(fingerprint, (b"", 0.0))
        return response if self._clock() < until else b""


_numbers = itertools.count(1)
_bound: weakref.WeakValueDictionary[int, Staples] = weakref.WeakValueDictionary()


def _answer_client(tls: int, number: int) -> int:
    try:
        library, staples = _library(), _bound.get(number)
        if staples is None or isinstance(library, str):
            return _NOTHING_TO_STAPLE
        response = staples.current(library.served_certificate(tls))
        if response and library.staple(tls, response):
            return _STAPLED
    except Exception:
        # Nothing may leave through OpenSSL; the client gets no response.
        _log.exception("a response could not be stapled")
    return _NOTHING_TO_STAPLE


_staple = _Callback(_answer_client)


class StapleReader:
    """A client that asks for the status; `response` is what the server stapled to the last
    handshake, empty if nothing. For one context, one connection at a time."""

    def __init__(self) -> None:
        self.response = b""
        self._number = next(_numbers)
        _readers[self._number] = self

    def bind(self, context: ssl.SSLContext) -> bool:
        """Ask in the handshakes of `context`; False if that is impossible here."""
        library = _library()
        return bool(
            isinstance(library, _StaplingLibrary)
            and library.control_context(
                openssl.context_pointer(context), _SET_TYPE, _TYPE_OCSP, None
            )
            == 1
            and library.bind(context, _read, self._number)
        )


_readers: weakref.WeakValueDictionary[int, StapleReader] = weakref.WeakValueDictionary()


def _take_from_server(tls: int, number: int) -> int:
    try:
        library, reader = _library(), _readers.get(number)
        if reader is not None and isinstance(library, _StaplingLibrary):
            reader.response = library.stapled(tls)
    except Exception:
        _log.exception("a stapled response could not be read")
    return _GO_ON


_read = _Callback(_take_from_server)
