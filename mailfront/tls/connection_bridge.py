"""What OpenSSL knows of one connection and `ssl` does not tell: through ctypes, after a self-check.

Takes an `ssl.SSLObject`; gives its `SSL *`, the result of verifying the peer's certificate
(SSL_get_verify_result(3)), and keying material exported from the connection (RFC 5705, RFC 8446
section 7.5). CPython keeps the `SSL *` right behind its object header, between the socket (none,
for memory BIOs) and the context. That layout is proved before the pointer is followed, and what is
read through it is compared with what `ssl` says. Where either fails `problem` says why.
"""

from __future__ import annotations

import ctypes  # noqa: TID251 - the SSL * of a connection, behind the self-check of tls.openssl
import functools
import gc
import ssl

from mailfront.tls import openssl

_WORD = ctypes.sizeof(ctypes.c_void_p)
_HEADER = object.__basicsize__
_SOCKET, _CONNECTION, _CONTEXT = (_HEADER + number * _WORD for number in range(3))
_LEAST_SIZE = _CONTEXT + _WORD
# Where CPython keeps its own object, for OpenSSL's callbacks (SSL_get_app_data(3)).
_APPLICATION_DATA = 0
_LONGEST_EXPORT = 255 * 32
_VERSIONS = {"TLSv1": 0x301, "TLSv1.1": 0x302, "TLSv1.2": 0x303, "TLSv1.3": 0x304}
_PROBE_NAME = "self-check.invalid"


class ConnectionLibrary:
    """The functions that look at a connection. Raises `AttributeError` if one is missing."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        self.handle = handle
        pointer = ctypes.c_void_p
        self._context_of = handle.SSL_get_SSL_CTX
        self._context_of.argtypes = (pointer,)
        self._context_of.restype = pointer
        self._application_data = handle.SSL_get_ex_data
        self._application_data.argtypes = (pointer, ctypes.c_int)
        self._application_data.restype = pointer
        self._is_server = handle.SSL_is_server
        self._is_server.argtypes = (pointer,)
        self._is_server.restype = ctypes.c_int
        self._server_name = handle.SSL_get_servername
        self._server_name.argtypes = (pointer, ctypes.c_int)
        self._server_name.restype = ctypes.c_char_p
        self._version = handle.SSL_version
        self._version.argtypes = (pointer,)
        self._version.restype = ctypes.c_int
        self._cipher = handle.SSL_get_current_cipher
        self._cipher.argtypes = (pointer,)
        self._cipher.restype = pointer
        self._cipher_name = handle.SSL_CIPHER_get_name
        self._cipher_name.argtypes = (pointer,)
        self._cipher_name.restype = ctypes.c_char_p
        self._verify_result = handle.SSL_get_verify_result
        self._verify_result.argtypes = (pointer,)
        self._verify_result.restype = ctypes.c_long
        self._export = handle.SSL_export_keying_material
        self._export.argtypes = (
            pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int,
        )  # fmt: skip
        self._export.restype = ctypes.c_int
        self._clear_errors = handle.ERR_clear_error
        self._clear_errors.argtypes = ()
        self._clear_errors.restype = None

    def fault(self) -> str:
        """Why connections must not be touched through this library, or an empty text."""
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for context, server_side, name in (
            (server, True, None),
            (client, False, _PROBE_NAME),
            (server, True, None),
        ):
            tls = context.wrap_bio(
                ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=server_side, server_hostname=name
            )
            pointer = self.pointer(tls)
            if pointer is None:
                return "the self-check failed: connections are not laid out as expected"
            told = self._server_name(pointer, 0)
            if bool(self._is_server(pointer)) is not server_side or told != (
                name.encode() if name else None
            ):
                return "the self-check failed: a connection tells other facts of itself than ssl"
        return ""

    def pointer(self, tls: ssl.SSLObject) -> int | None:
        """The `SSL *` of `tls`; None if anything speaks against what was read being it.

        It is good for as long as `tls` lives.
        """
        inner = _inner(tls)
        if inner is None or type(inner).__basicsize__ < _LEAST_SIZE:
            return None
        address, context = id(inner), tls.context
        # Read from the object itself, hence safely: no socket, and the context where it belongs.
        if _word(address + _SOCKET) or _word(address + _CONTEXT) != id(context):
            return None
        found = _word(address + _CONNECTION)
        if found is None or found % _WORD:
            return None
        if self._context_of(found) != openssl.context_pointer(context):
            return None
        if self._application_data(found, _APPLICATION_DATA) != address:
            return None
        return found if self._agrees(found, tls) else None

    def _agrees(self, pointer: int, tls: ssl.SSLObject) -> bool:
        version, cipher = tls.version(), tls.cipher()
        if version is None or cipher is None:
            return True
        name = self._cipher_name(self._cipher(pointer))
        return bool(
            self._version(pointer) == _VERSIONS.get(version)
            and name is not None
            and name.decode("ascii", "replace") == cipher[0]
        )

    def verify_result(self, pointer: int) -> int:
        """What verifying the peer's certificate ended with (X509_V_OK is 0)."""
        return int(self._verify_result(pointer))

    def export(
        self, pointer: int, label: bytes, length: int, context: bytes | None
    ) -> bytes | None:
        """Exported keying material; None if OpenSSL gives none."""
        material = ctypes.create_string_buffer(length)
        answer = self._export(
            pointer, material, length, label, len(label),
            context, len(context or b""), context is not None,
        )  # fmt: skip
        # A refusal must not be taken for the error of a later call of `ssl` in this thread.
        self._clear_errors()
        return material.raw if answer == 1 else None


def _inner(tls: ssl.SSLObject) -> object | None:
    """CPython's own object behind `tls`: the one thing of its type that `tls` refers to."""
    found = [each for each in gc.get_referents(tls) if type(each).__qualname__ == "_SSLSocket"]
    return found[0] if len(found) == 1 else None


def _word(address: int) -> int | None:
    return ctypes.c_void_p.from_address(address).value


@functools.cache
def connection_library() -> ConnectionLibrary | str:
    """The library, proved; or why there is none to use."""
    linked = openssl.linked_library()
    if isinstance(linked, str):
        return linked
    try:
        library = ConnectionLibrary(linked.handle)
    except AttributeError:
        return "the linked OpenSSL lacks a function that looks at connections"
    return library.fault() or library


def problem() -> str:
    """Why connections cannot be looked at here, or an empty text."""
    library = connection_library()
    return library if isinstance(library, str) else ""


def connection_pointer(tls: ssl.SSLObject) -> int | None:
    """The `SSL *` of `tls`, good for as long as `tls` lives; None where it is not to be had."""
    library = connection_library()
    return None if isinstance(library, str) else library.pointer(tls)


def verify_result(tls: ssl.SSLObject) -> int:
    """What verifying the peer's certificate ended with: X509_V_OK (0) or a X509_V_ERR_ code.

    0 says nothing unless the peer presented a certificate. Raises `LookupError` where it cannot be
    told, so that nobody takes that for success.
    """
    library = connection_library()
    pointer = None if isinstance(library, str) else library.pointer(tls)
    if isinstance(library, str) or pointer is None:
        raise LookupError("the result of verifying the certificate cannot be had")
    return library.verify_result(pointer)


def export_keying_material(
    tls: ssl.SSLObject, label: bytes, length: int, context: bytes | None = None
) -> bytes | None:
    """`length` octets exported from an established connection under `label` (RFC 5705).

    `context` None and an empty one differ in TLS 1.2, and are the same in TLS 1.3. None if there
    is no such material: the handshake is not finished, or the bridge is not to be had.
    """
    if not 0 < length <= _LONGEST_EXPORT:
        raise ValueError(f"{length} octets cannot be exported")
    library = connection_library()
    if isinstance(library, str) or tls.version() is None or tls.cipher() is None:
        return None
    pointer = library.pointer(tls)
    return None if pointer is None else library.export(pointer, label, length, context)
