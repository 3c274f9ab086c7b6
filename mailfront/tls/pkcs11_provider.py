"""OpenSSL's pkcs11 provider, set up by ourselves for the modules whose keys are wanted.

Takes the path of a module's library; from then on `load_cert_chain` takes the keys of its tokens
(`keystore.pkcs11.key_reference`). Each module has a provider instance of its own, activated at run
time through OpenSSL's configuration functions (OpenSSL's config(5)) from a text in an anonymous
memory file: no openssl.cnf is edited and the system's settings stay in force. PINs do not come
here; they are given to `load_cert_chain` as its password.

Everything but the private-key operation stays in OpenSSL's own software. Raises `TokenError`,
which tells what to install where something is missing.
"""

from __future__ import annotations

import ctypes  # noqa: TID251 (functions of the library that tls.openssl proved)
import itertools
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailfront.errors import TokenError
from mailfront.tls.cryptoki import Cryptoki
from mailfront.tls.openssl import LinkedLibrary, linked_library

_log = logging.getLogger("mailfront.tls")

# <openssl/crypto.h>: what OpenSSL_version tells of the directory of its providers.
_MODULES_DIRECTORY = 8
_PROVIDER_FILE = "pkcs11.so"
# The section's name is arbitrary; `no-deinit` because finalising a module at exit crashes some,
# and because we finalise ourselves. Keys are not copied into sessions: an old instance would
# destroy the copies of its successor, whose handles may have the same numbers.
_CONFIGURATION = """\
openssl_conf = mailfront
[mailfront]
providers = mailfront_providers
[mailfront_providers]
{name} = mailfront_pkcs11
[mailfront_pkcs11]
identity = {name}
module = {provider}
pkcs11-module-path = {library}
pkcs11-module-quirks = no-deinit
pkcs11-module-cache-pins = cache
pkcs11-module-cache-keys = false
activate = 1
"""
# Software is preferred wherever the key does not decide: a token is slow, and is for its own keys.
_PREFER_SOFTWARE = b"?provider=default"
_ALGORITHMS: dict[str, tuple[bytes, ...]] = {
    "EVP_SIGNATURE": (b"ECDSA", b"RSA"),
    "EVP_KEYMGMT": (b"EC", b"RSA", b"RSA-PSS"),
    "EVP_KEYEXCH": (b"ECDH",),
    "EVP_ASYM_CIPHER": (b"RSA",),
}
_REMEDY = (
    "install OpenSSL's pkcs11 provider: on Debian 12 `apt install -t bookworm-backports "
    "pkcs11-provider`, on Debian 13 `apt install pkcs11-provider`"
)


@dataclass(slots=True)
class _Instance:
    """The provider instance in force for a module."""

    name: str
    generation: int


class Pkcs11Provider:
    """The functions of the linked OpenSSL that concern providers, and the instances made so far."""

    def __init__(self, handle: ctypes.CDLL, provider: Path) -> None:
        self._handle = handle
        self._provider = provider
        self._instances: dict[Path, _Instance] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
        self._load = _function(handle, "OSSL_PROVIDER_load", pointer, pointer, text)
        self._try_load = _function(handle, "OSSL_PROVIDER_try_load", pointer, pointer, text, number)
        self._unload = _function(handle, "OSSL_PROVIDER_unload", number, pointer)
        self._available = _function(handle, "OSSL_PROVIDER_available", number, pointer, text)
        self._name_of = _function(handle, "OSSL_PROVIDER_get0_name", text, pointer)
        self._load_file = _function(
            handle, "CONF_modules_load_file", number, text, text, ctypes.c_ulong
        )
        self._prefer = _function(handle, "EVP_set_default_properties", number, pointer, text)
        self._is_fips = _function(handle, "EVP_default_properties_is_fips_enabled", number, pointer)
        self._set_prompt = _function(handle, "UI_set_default_method", None, pointer)
        self._no_prompt = _function(handle, "UI_null", pointer)
        self._clear_errors = _function(handle, "ERR_clear_error", None)
        self._prepared = False

    @property
    def has_instances(self) -> bool:
        """Whether any module was wanted so far."""
        return bool(self._instances)

    def require(self, library: Path) -> int:
        """Make the keys of a module usable; return how often it was renewed so far."""
        with self._lock:
            instance = self._instances.get(library)
            if instance is None:
                instance = self._new_instance(library, generation=0)
            return instance.generation

    def renew(self, library: Path, *, finalise: bool) -> None:
        """Begin anew with a module whose tokens came back; contexts from before are void then.

        `finalise` ends the module's own state too, all its sessions and logins: no key of it may
        be in use meanwhile.
        """
        with self._lock:
            old = self._instances.get(library)
            if finalise:
                Cryptoki(library).finalise()
            self._new_instance(library, generation=old.generation + 1 if old is not None else 0)
            if old is not None:
                self._retire(old.name)
            self.settle()

    def settle(self) -> None:
        """Let software answer for all that is not tied to a token's key.

        OpenSSL up to 3.x looks up its cache of algorithms by name alone: once a token's key was
        used, `ECDSA` may mean the token's, also for verifying what peers signed. The cache is
        emptied, and the software's own are put first into it.
        """
        with self._lock:
            if not self._is_fips(None):
                self._prefer(None, _PREFER_SOFTWARE)
            for kind, names in _ALGORITHMS.items():
                for name in names:
                    self._fetched_from(kind, name)
            self._clear_errors()

    def is_settled(self) -> bool:
        """Whether software answers; cheap enough to ask every second."""
        with self._lock:
            names = {instance.name.encode() for instance in self._instances.values()}
            answers = {self._fetched_from("EVP_SIGNATURE", name) for name in (b"ECDSA", b"RSA")}
            self._clear_errors()
            return not names & answers

    def _fetched_from(self, kind: str, name: bytes) -> bytes:
        """The provider whose implementation a look-up by name finds."""
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        fetch = _function(self._handle, f"{kind}_fetch", pointer, pointer, text, text)
        provider_of = _function(self._handle, f"{kind}_get0_provider", pointer, pointer)
        free = _function(self._handle, f"{kind}_free", None, pointer)
        found = fetch(None, name, None)
        if not found:
            return b""
        answer = self._name_of(provider_of(found))
        free(found)
        return bytes(answer)

    def _new_instance(self, library: Path, *, generation: int) -> _Instance:
        self._prepare()
        name = f"mailfront-pkcs11-{next(self._numbers)}"
        text = _CONFIGURATION.format(
            name=name, provider=_quoted(self._provider), library=_quoted(library)
        )
        descriptor = os.memfd_create("openssl.cnf", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
            done = self._load_file(f"/proc/self/fd/{descriptor}".encode(), b"openssl_conf", 0)
        finally:
            os.close(descriptor)
        self._clear_errors()
        if done != 1 or not self._available(None, name.encode()):
            raise TokenError(
                f"OpenSSL cannot load its pkcs11 provider {self._provider}", remedy=_REMEDY
            )
        instance = self._instances[library] = _Instance(name, generation)
        self.settle()
        _log.info("PKCS#11 module %s: ready for TLS as %s", library, name)
        return instance

    def _prepare(self) -> None:
        """Once: whoever activates a provider must name the default one too, and nobody may be
        asked for a PIN on the terminal of a server."""
        if not self._prepared:
            self._load(None, b"default")
            self._set_prompt(self._no_prompt())
            self._prepared = True

    def _retire(self, name: str) -> None:
        # Loaded once more for the handle, so it is unloaded twice. Keys of it keep its memory.
        handle = self._try_load(None, name.encode(), 1)
        if handle:
            self._unload(handle)
            self._unload(handle)
        self._clear_errors()


def _function(handle: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    function = handle[name]
    function.restype = result
    function.argtypes = arguments
    return function


def _quoted(path: Path) -> str:
    """A path as a value of an OpenSSL configuration file."""
    return "".join(f"\\{each}" if each in "\\$#\"'" else each for each in str(path))


_provider: Pkcs11Provider | None = None
_provider_lock = threading.Lock()


def pkcs11_provider() -> Pkcs11Provider:
    """Return the provider of this process. Raises `TokenError` if there cannot be one."""
    global _provider
    with _provider_lock:
        if _provider is None:
            _provider = _open()
        return _provider


def provider_fault() -> str:
    """Why keys on tokens cannot serve here, with the remedy; empty if they can."""
    try:
        pkcs11_provider()
    except TokenError as failure:
        return str(failure)
    return ""


def is_in_use() -> bool:
    """Whether a module's library was loaded into this process for TLS."""
    return _provider is not None and _provider.has_instances


def settled_provider() -> None:
    """Put right what OpenSSL's cache of algorithms may have got wrong since; see `settle`."""
    if _provider is not None and not _provider.is_settled():
        _provider.settle()


def _open() -> Pkcs11Provider:
    library = linked_library()
    if not isinstance(library, LinkedLibrary):
        raise TokenError(
            f"keys on tokens cannot serve TLS: {library}",
            remedy="use a Python whose ssl module is linked to the system's shared OpenSSL, such "
            "as the distribution's",
        )
    handle = library.handle
    directory = os.environ.get("OPENSSL_MODULES") or _modules_directory(handle)
    if not directory:
        raise TokenError(
            "keys on tokens cannot serve TLS: this OpenSSL has no providers",
            remedy="OpenSSL 3.0 or newer is needed",
        )
    path = Path(directory) / _PROVIDER_FILE
    if not path.is_file():
        raise TokenError(f"keys on tokens cannot serve TLS: {path} is missing", remedy=_REMEDY)
    if not _is_shared(handle):
        raise TokenError(
            "keys on tokens cannot serve TLS: this Python has its own copy of OpenSSL linked in, "
            "which can load no providers",
            remedy="use the distribution's Python, or one built with the shared OpenSSL",
        )
    try:
        return Pkcs11Provider(handle, path)
    except AttributeError as error:
        raise TokenError(
            "keys on tokens cannot serve TLS: this OpenSSL lacks functions of OpenSSL 3",
            remedy="OpenSSL 3.0 or newer is needed",
        ) from error


def _modules_directory(handle: ctypes.CDLL) -> str:
    """OpenSSL's answer is such as `MODULESDIR: "/usr/lib/x86_64-linux-gnu/ossl-modules"`."""
    tell = _function(handle, "OpenSSL_version", ctypes.c_char_p, ctypes.c_int)
    answer = (tell(_MODULES_DIRECTORY) or b"").decode(errors="replace")
    name, _, value = answer.partition(": ")
    return value.strip().strip('"') if name == "MODULESDIR" else ""


def _is_shared(handle: ctypes.CDLL) -> bool:
    """Whether the OpenSSL of `ssl` is the shared library that a provider will be linked to."""
    try:
        shared = ctypes.CDLL("libcrypto.so.3", mode=os.RTLD_NOLOAD)
        addresses = {
            ctypes.cast(each.OPENSSL_init_crypto, ctypes.c_void_p).value
            for each in (shared, handle)
        }
    except (OSError, AttributeError):
        return False
    return len(addresses) == 1
