"""Client certificates where `ssl` has no say: OpenSSL's own verification, sessions and callbacks.

Takes certificates in DER and pointers that OpenSSL or `tls.connection_bridge` gave; gives Python
values. Paths are built and judged by X509_verify_cert(3) after RFC 5280 section 6: signatures,
dates, basic constraints, path lengths, name constraints, key usage, and the extended key usage for
TLS clients (section 4.2.1.12), in every certificate below the trust anchor. Revocation is not
judged here. Every C object has one owner, which frees it.
"""

from __future__ import annotations

import ctypes  # noqa: TID251 - verification and callbacks, behind the self-check of tls.openssl
import functools
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from mailfront.tls import connection_bridge

X509_V_OK = 0
X509_V_ERR_UNSPECIFIED = 1

VERIFY_PEER = 1
VERIFY_FAIL_IF_NO_PEER_CERT = 2

# What the callbacks of SSL_CTX_set_session_ticket_cb(3) are told and answer.
TICKET_SUCCESS, TICKET_SUCCESS_RENEW = 5, 6
TICKET_IGNORE_RENEW, TICKET_USE, TICKET_USE_RENEW = 2, 3, 4

PURPOSE_SSL_CLIENT, PURPOSE_SSL_SERVER = 1, 2
# An intermediate may be trusted by itself, without its root.
_FLAG_PARTIAL_CHAIN = 0x80000
# 112 bits: no RSA below 2048, no SHA-1 signatures (SSL_CTX_set_security_level(3)).
_AUTHENTICATION_LEVEL = 2
_DEEPEST = 10

_pointer, _int = ctypes.c_void_p, ctypes.c_int
VerifyCallback = ctypes.CFUNCTYPE(_int, _pointer, _pointer)
GenerateCallback = ctypes.CFUNCTYPE(_int, _pointer, _pointer)
DecryptCallback = ctypes.CFUNCTYPE(
    _int, _pointer, _pointer, _pointer, ctypes.c_size_t, _int, _pointer
)

# Function: what it answers, then what it takes.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "ERR_clear_error": (None,),
    "OPENSSL_sk_free": (None, _pointer),
    "OPENSSL_sk_new_null": (_pointer,),
    "OPENSSL_sk_num": (_int, _pointer),
    "OPENSSL_sk_push": (_int, _pointer, _pointer),
    "OPENSSL_sk_value": (_pointer, _pointer, _int),
    "SSL_CTX_set_cert_verify_callback": (None, _pointer, VerifyCallback, _pointer),
    "SSL_CTX_set_session_ticket_cb": (
        _int, _pointer, GenerateCallback, DecryptCallback, _pointer,
    ),
    "SSL_SESSION_get0_peer": (_pointer, _pointer),
    "SSL_SESSION_get0_ticket_appdata": (_int, _pointer, _pointer, _pointer),
    "SSL_SESSION_set1_ticket_appdata": (_int, _pointer, ctypes.c_char_p, ctypes.c_size_t),
    "SSL_dup_CA_list": (_pointer, _pointer),
    "SSL_get_ex_data_X509_STORE_CTX_idx": (_int,),
    "SSL_get_peer_cert_chain": (_pointer, _pointer),
    "SSL_get_session": (_pointer, _pointer),
    "SSL_session_reused": (_int, _pointer),
    "SSL_set_client_CA_list": (None, _pointer, _pointer),
    "SSL_set_verify": (None, _pointer, _int, _pointer),
    "X509_STORE_CTX_free": (None, _pointer),
    "X509_STORE_CTX_get0_chain": (_pointer, _pointer),
    "X509_STORE_CTX_get0_param": (_pointer, _pointer),
    "X509_STORE_CTX_get0_untrusted": (_pointer, _pointer),
    "X509_STORE_CTX_get_error": (_int, _pointer),
    "X509_STORE_CTX_get_error_depth": (_int, _pointer),
    "X509_STORE_CTX_get_ex_data": (_pointer, _pointer, _int),
    "X509_STORE_CTX_init": (_int, _pointer, _pointer, _pointer, _pointer),
    "X509_STORE_CTX_new": (_pointer,),
    "X509_STORE_CTX_set_error": (None, _pointer, _int),
    "X509_STORE_add_cert": (_int, _pointer, _pointer),
    "X509_STORE_free": (None, _pointer),
    "X509_STORE_new": (_pointer,),
    "X509_VERIFY_PARAM_set_auth_level": (None, _pointer, _int),
    "X509_VERIFY_PARAM_set_depth": (None, _pointer, _int),
    "X509_VERIFY_PARAM_set_flags": (_int, _pointer, ctypes.c_ulong),
    "X509_VERIFY_PARAM_set_purpose": (_int, _pointer, _int),
    "X509_VERIFY_PARAM_set_time": (None, _pointer, ctypes.c_long),
    "X509_free": (None, _pointer),
    "X509_get_subject_name": (_pointer, _pointer),
    "X509_verify_cert": (_int, _pointer),
    "X509_verify_cert_error_string": (ctypes.c_char_p, ctypes.c_long),
    "d2i_X509": (_pointer, _pointer, _pointer, ctypes.c_long),
    "i2d_X509": (_int, _pointer, _pointer),
}  # fmt: skip


@functools.cache
def _proved() -> ctypes.CDLL | str:
    library = connection_bridge.connection_library()
    if isinstance(library, str):
        return library
    for name, (answer, *arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library.handle, name)
        except AttributeError:
            return f"the linked OpenSSL has no {name}"
        function.argtypes, function.restype = arguments, answer
    return library.handle


def problem() -> str:
    """Why client certificates cannot be verified here, or an empty text."""
    library = _proved()
    return library if isinstance(library, str) else ""


def _library() -> ctypes.CDLL:
    library = _proved()
    assert not isinstance(library, str), "the caller has asked for the problem"
    return library


@dataclass(frozen=True, slots=True)
class PathResult:
    """What X509_verify_cert ended with: X509_V_OK and the path from the leaf to its anchor, or the
    error, OpenSSL's words for it, and how many issuers above the leaf it is."""

    error: int
    words: str
    depth: int
    path: tuple[bytes, ...] = ()


class TrustStore:
    """The trust anchors, as OpenSSL holds them. May be used by several threads: each verification
    has an X509_STORE_CTX of its own, and OpenSSL locks the store that they share."""

    def __init__(self, anchors: Sequence[bytes]) -> None:
        """`anchors` in DER; what OpenSSL cannot read is left out."""
        library = _library()
        self._pointer: int = library.X509_STORE_new()
        weakref.finalize(self, library.X509_STORE_free, self._pointer)
        with _certificates(anchors) as found:
            for certificate in found:
                library.X509_STORE_add_cert(self._pointer, certificate)
        library.ERR_clear_error()

    def verify(
        self,
        leaf: bytes,
        presented: Sequence[bytes],
        now: int,
        *,
        purpose: int = PURPOSE_SSL_CLIENT,
    ) -> PathResult | None:
        """Find and judge a path from `leaf` over `presented` to an anchor, at the time `now`
        (seconds since 1970). None if OpenSSL cannot read the leaf."""
        library = _library()
        with ExitStack() as owned:
            own = owned.enter_context(_certificates([leaf]))
            if not own:
                return None
            others = owned.enter_context(_certificates(presented))
            stack = library.OPENSSL_sk_new_null()
            owned.callback(library.OPENSSL_sk_free, stack)
            for certificate in others:
                library.OPENSSL_sk_push(stack, certificate)
            judging = library.X509_STORE_CTX_new()
            owned.callback(library.X509_STORE_CTX_free, judging)
            if library.X509_STORE_CTX_init(judging, self._pointer, own[0], stack) != 1:
                return PathResult(X509_V_ERR_UNSPECIFIED, "OpenSSL cannot verify", 0)
            rules = library.X509_STORE_CTX_get0_param(judging)
            library.X509_VERIFY_PARAM_set_flags(rules, _FLAG_PARTIAL_CHAIN)
            library.X509_VERIFY_PARAM_set_purpose(rules, purpose)
            library.X509_VERIFY_PARAM_set_depth(rules, _DEEPEST)
            library.X509_VERIFY_PARAM_set_auth_level(rules, _AUTHENTICATION_LEVEL)
            library.X509_VERIFY_PARAM_set_time(rules, now)
            verified = library.X509_verify_cert(judging) == 1
            error = library.X509_STORE_CTX_get_error(judging)
            library.ERR_clear_error()
            if verified and error == X509_V_OK:
                path = _ders(library.X509_STORE_CTX_get0_chain(judging))
                return PathResult(X509_V_OK, "", 0, path)
            words = library.X509_verify_cert_error_string(error or X509_V_ERR_UNSPECIFIED)
            depth = library.X509_STORE_CTX_get_error_depth(judging)
            return PathResult(error or X509_V_ERR_UNSPECIFIED, words.decode(), depth)


class AuthorityNames:
    """The names of CAs as a CertificateRequest lists them (RFC 8446 section 4.2.4)."""

    def __init__(self, authorities: Sequence[bytes]) -> None:
        library = _library()
        pointers: list[int] = []
        self._owned = ExitStack()
        found = self._owned.enter_context(_certificates(authorities))
        self._stack: int = library.OPENSSL_sk_new_null()
        self._owned.callback(library.OPENSSL_sk_free, self._stack)
        for certificate in found:
            pointers.append(library.X509_get_subject_name(certificate))
            library.OPENSSL_sk_push(self._stack, pointers[-1])
        weakref.finalize(self, self._owned.close)

    def list_in(self, connection: int) -> None:
        """Let the request of this `SSL *` name them."""
        library = _library()
        library.SSL_set_client_CA_list(connection, library.SSL_dup_CA_list(self._stack))


def ask(connection: int, *, require: bool) -> None:
    """Let this `SSL *` ask its client for a certificate, and refuse clients that present none."""
    mode = VERIFY_PEER | (VERIFY_FAIL_IF_NO_PEER_CERT if require else 0)
    _library().SSL_set_verify(connection, mode, None)


def set_callbacks(context: int, verify: object, generate: object, decrypt: object) -> None:
    """Let connections of this `SSL_CTX *` call back. The callbacks must live for ever."""
    library = _library()
    library.SSL_CTX_set_cert_verify_callback(context, verify, None)
    library.SSL_CTX_set_session_ticket_cb(context, generate, decrypt, None)


def connection_of(judging: int) -> int | None:
    """The `SSL *` for which OpenSSL verifies with this `X509_STORE_CTX *`."""
    library = _library()
    index = library.SSL_get_ex_data_X509_STORE_CTX_idx()
    found: int | None = library.X509_STORE_CTX_get_ex_data(judging, index)
    return found


def presented_to(judging: int) -> tuple[bytes, ...]:
    """What the client sent, leaf first, inside the callback of verification."""
    return _ders(_library().X509_STORE_CTX_get0_untrusted(judging))


def set_result(judging: int, error: int) -> None:
    """What verification ends with: it decides the alert, and SSL_get_verify_result(3)."""
    _library().X509_STORE_CTX_set_error(judging, error)


def peer_chain(connection: int) -> tuple[bytes, ...]:
    """What a client sent behind its own certificate, or a server with its own before the rest;
    empty in a resumed session."""
    return _ders(_library().SSL_get_peer_cert_chain(connection))


def is_resumed(connection: int) -> bool:
    """Whether the session was resumed."""
    return bool(_library().SSL_session_reused(connection))


def session_of(connection: int) -> int | None:
    """The `SSL_SESSION *` of a connection."""
    found: int | None = _library().SSL_get_session(connection)
    return found


def session_peer(session: int) -> bytes | None:
    """The client's own certificate in a session, in DER."""
    certificate = _library().SSL_SESSION_get0_peer(session)
    return None if certificate is None else _der(certificate)


def note_in_session(session: int, note: bytes) -> bool:
    """Keep `note` in the session, and so in the ticket that is made of it."""
    answer: int = _library().SSL_SESSION_set1_ticket_appdata(session, note, len(note))
    return answer == 1


def note_of_session(session: int) -> bytes:
    """The note that was kept in the session; empty if none was."""
    data, length = ctypes.c_void_p(), ctypes.c_size_t()
    library = _library()
    library.SSL_SESSION_get0_ticket_appdata(session, ctypes.byref(data), ctypes.byref(length))
    return ctypes.string_at(data.value, length.value) if data.value else b""


@contextmanager
def _certificates(ders: Sequence[bytes]) -> Iterator[list[int]]:
    """The `X509 *` of each DER that OpenSSL can read."""
    library = _library()
    found: list[int] = []
    try:
        for der in ders:
            octets = ctypes.c_char_p(der)
            pointer = library.d2i_X509(None, ctypes.byref(octets), len(der))
            if pointer is not None:
                found.append(pointer)
        library.ERR_clear_error()
        yield found
    finally:
        for pointer in found:
            library.X509_free(pointer)


def _ders(stack: int | None) -> tuple[bytes, ...]:
    if stack is None:
        return ()
    library = _library()
    count = library.OPENSSL_sk_num(stack)
    return tuple(_der(library.OPENSSL_sk_value(stack, index)) for index in range(count))


def _der(certificate: int) -> bytes:
    library = _library()
    length = library.i2d_X509(certificate, None)
    if length <= 0:
        return b""
    buffer = ctypes.create_string_buffer(length)
    library.i2d_X509(certificate, ctypes.byref(ctypes.c_void_p(ctypes.addressof(buffer))))
    return buffer.raw
