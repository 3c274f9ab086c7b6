"""What OpenSSL can and Python's `ssl` has no setter for: through ctypes, after a
self-check that all such use relies on.

Takes a context and a text in OpenSSL's notation, and tells whether it took effect. Where `ssl`
itself has the setter (Python 3.15) that is used; else the functions of the very library that `_ssl`
is linked to, on the `SSL_CTX *` that CPython keeps right behind the object header. Nothing is
written through that pointer before a self-check has read several option values through it. Where
either is not to be had, `features` says why, and the setting stays OpenSSL's own.
"""

from __future__ import annotations

import ctypes
import functools
import os
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

# Values of <openssl/ssl.h>, the same in every version from 1.1.1 on.
_SET_SESSION_CACHE_MODE = 44
_SET_GROUPS_LIST = 92
_SET_SIGNATURE_ALGORITHMS_LIST = 98
_SESSION_CACHE_OFF = 0
_OPTION_BITS = (1 << 64) - 1

OP_PRIORITIZE_CHACHA = 1 << 21
"""The option that `ssl` does not name: ChaCha20 for clients that put it first."""


class Setting(Enum):
    """What is set beyond `ssl`; the value is its name for people."""

    TLS13_SUITES = "TLS 1.3 suites"
    GROUPS = "key exchange groups"
    SIGNATURE_ALGORITHMS = "signature algorithms"
    NO_SESSION_CACHE = "no session cache in the server"


_NATIVE = {
    Setting.TLS13_SUITES: "set_ciphersuites",
    Setting.GROUPS: "set_groups",
    Setting.SIGNATURE_ALGORITHMS: "set_server_sigalgs",
}


@dataclass(frozen=True, slots=True)
class Feature:
    """How a setting is made: by `ssl`, by `libssl`, or not at all and for which `reason`."""

    setting: Setting
    means: str
    reason: str = ""

    @property
    def available(self) -> bool:
        """Whether the setting can be made."""
        return not self.reason


class LinkedLibrary:
    """The functions of the library that `_ssl` is linked to; `handle` finds further ones.

    Raises `AttributeError` if it does not export them.
    """

    def __init__(self, handle: ctypes.CDLL) -> None:
        self.handle = handle
        self._control = handle.SSL_CTX_ctrl
        self._control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
        self._control.restype = ctypes.c_long
        self._set_ciphersuites = handle.SSL_CTX_set_ciphersuites
        self._set_ciphersuites.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        self._set_ciphersuites.restype = ctypes.c_int
        self._get_options = handle.SSL_CTX_get_options
        self._get_options.argtypes = (ctypes.c_void_p,)
        self._get_options.restype = ctypes.c_uint64
        self._version = handle.OpenSSL_version
        self._version.argtypes = (ctypes.c_int,)
        self._version.restype = ctypes.c_char_p
        self._clear_errors = handle.ERR_clear_error
        self._clear_errors.argtypes = ()
        self._clear_errors.restype = None

    def fault(self) -> str:
        """Why contexts must not be touched through this library, or an empty text."""
        version = self._version(0)
        if version is None or version.decode("ascii", "replace") != ssl.OPENSSL_VERSION:
            return "another OpenSSL than that of Python's ssl was found"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for more in (0, ssl.OP_NO_TICKET, ssl.OP_NO_RENEGOTIATION, OP_PRIORITIZE_CHACHA):
            context.options |= more
            if self._get_options(_pointer(context)) != int(context.options) & _OPTION_BITS:
                return "the self-check failed: contexts are not laid out as expected"
        return ""

    def apply(self, setting: Setting, context: ssl.SSLContext, text: str) -> bool:
        """Make the setting; False if OpenSSL refuses the text."""
        pointer, octets = _pointer(context), text.encode("ascii")
        if setting is Setting.TLS13_SUITES:
            answer = self._set_ciphersuites(pointer, octets)
        elif setting is Setting.GROUPS:
            answer = self._control(pointer, _SET_GROUPS_LIST, 0, octets)
        elif setting is Setting.SIGNATURE_ALGORITHMS:
            answer = self._control(pointer, _SET_SIGNATURE_ALGORITHMS_LIST, 0, octets)
        else:
            # What it answers is the former mode.
            self._control(pointer, _SET_SESSION_CACHE_MODE, _SESSION_CACHE_OFF, None)
            answer = 1
        # A refusal must not be taken for the error of a later call of `ssl` in this thread.
        self._clear_errors()
        return bool(answer == 1)


def context_pointer(context: ssl.SSLContext) -> int | None:
    """The `SSL_CTX *` of a context; meaningless unless `linked_library` was proved."""
    return _pointer(context)


def _pointer(context: ssl.SSLContext) -> int | None:
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value


def linked_version() -> str:
    """The name and version of the linked OpenSSL, without its date."""
    return " ".join(ssl.OPENSSL_VERSION.split()[:2])


@functools.cache
def linked_library() -> LinkedLibrary | str:
    """The library that `_ssl` is linked to, proved; or why there is none to use."""
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} keeps contexts in another way than CPython"
    try:
        # A look-up in a loaded module finds what its own dependencies export: no guess at which
        # of the OpenSSLs on this machine it is. Where _ssl is built in, the program is asked.
        path = getattr(sys.modules["_ssl"], "__file__", None)
        library = LinkedLibrary(ctypes.CDLL(path, mode=os.RTLD_NOLOAD if path else os.RTLD_LAZY))
    except (AttributeError, OSError):
        return "this Python has OpenSSL linked in without exporting its functions"
    return library.fault() or library


def apply(setting: Setting, context: ssl.SSLContext, text: str = "") -> bool:
    """Make `setting` in `context`; False if it cannot be made or OpenSSL refuses `text`.

    `text` is a list in OpenSSL's notation (colons between the names).
    """
    if (native := _native(setting, context)) is not None:
        try:
            native(text)
        except (ssl.SSLError, ValueError):
            return False
        return True
    library = linked_library()
    return isinstance(library, LinkedLibrary) and library.apply(setting, context, text)


def _native(setting: Setting, context: ssl.SSLContext) -> Callable[[str], None] | None:
    return getattr(context, _NATIVE[setting], None) if setting in _NATIVE else None


def feature(setting: Setting) -> Feature:
    """How `setting` is made here."""
    if setting in _NATIVE and hasattr(ssl.SSLContext, _NATIVE[setting]):
        return Feature(setting, "ssl")
    library = linked_library()
    if isinstance(library, LinkedLibrary):
        return Feature(setting, "libssl")
    return Feature(setting, "none", library)


def features() -> tuple[Feature, ...]:
    """How each setting is made here."""
    return tuple(map(feature, Setting))


def unavailable_settings() -> list[str]:
    """A sentence about each setting that cannot be made here; usually none."""
    return [
        f"{each.setting.value}: cannot be set, OpenSSL's own choice stays: {each.reason}"
        for each in features()
        if not each.available
    ]


def available(setting: Setting) -> bool:
    """Whether `setting` can be made here."""
    return feature(setting).available


@functools.cache
def implements(setting: Setting, name: str) -> bool:
    """Whether the linked OpenSSL takes `name` where `setting` lists names."""
    return apply(setting, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), name)


@functools.cache
def implemented_suites() -> frozenset[str]:
    """OpenSSL's names of all suites up to TLS 1.2 that the linked OpenSSL has, weak ones too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return frozenset(
        str(cipher["name"])
        for cipher in context.get_ciphers()
        if not str(cipher["name"]).startswith("TLS_")
    )


@functools.cache
def default_tls13_suites() -> tuple[str, ...]:
    """The TLS 1.3 suites in force where nobody can set them, best first."""
    names = (
        str(cipher["name"]) for cipher in ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).get_ciphers()
    )
    return tuple(name for name in names if name.startswith("TLS_"))
