"""Private keys of the certificate database that a PKCS#11 token is lent, to sign with them.

Takes a key, the token and its PIN, gives a `LentKey`, whose name goes to `load_cert_chain` as that
of any key on a token. The key is a session object (PKCS#11 2.40 section 4.4), which all sessions of
this process see and nothing stores: it is gone from the token when the last context that uses it
is, or when this process ends. Raises `TokenError`, or `KeystoreError` for a kind of key that no
token signs with.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import weakref
from functools import cache
from pathlib import Path
from weakref import WeakKeyDictionary, WeakValueDictionary

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import formats
from mailfront.keystore.pkcs11.key_import import importable, session_key
from mailfront.keystore.pkcs11.key_reference import key_uri
from mailfront.tls.cryptoki import IDENTIFIER, Cryptoki
from mailfront.tls.pkcs11_provider import pkcs11_provider
from mailfront.tls.token_handshakes import signing_threads

_log = logging.getLogger("mailfront.tls")

_IDENTIFIER_OCTETS = 16
_LABEL = "lent by mailfront"


class LentKey:
    """A key that is on a token until nobody holds this object any more."""

    __slots__ = (
        "__weakref__", "_handle", "_identifier", "_label", "_module", "_serial", "_session",
    )  # fmt: skip

    def __init__(
        self, module: Cryptoki, label: str, serial: str, pin: Secret | None, key: PrivateKeyTypes
    ) -> None:
        self._module, self._label, self._serial = module, label, serial
        # Random, so that it names this copy alone, whatever was or is on the token.
        self._identifier = os.urandom(_IDENTIFIER_OCTETS)
        private, public = session_key(key, self._identifier, _LABEL)
        self._session = module.open_session(module.slot(label, serial))
        try:
            if pin is not None:
                module.log_in(self._session, pin)
            self._handle = module.create_object(self._session, private)
            module.create_object(self._session, public)
        except TokenError:
            module.close_session(self._session)
            raise
        weakref.finalize(
            self, _return, module, self._session, self._handle, self._identifier
        ).atexit = False

    @property
    def uri(self) -> str:
        """What OpenSSL's provider finds it by (RFC 7512)."""
        return key_uri(self._label, self._serial, self._identifier, "")

    @property
    def is_there(self) -> bool:
        """Whether the token still has it: one that began anew has not."""
        return _is_there(self._module, self._session, self._handle, self._identifier)


def _is_there(module: Cryptoki, session: int, handle: int, identifier: bytes) -> bool:
    return module.attribute(session, handle, IDENTIFIER) == identifier


def _return(module: Cryptoki, session: int, handle: int, identifier: bytes) -> None:
    """Take a key back. A token may take its time for that, so it is done by a thread."""

    def close() -> None:
        # After a new beginning of the token the same number may be another's session.
        if not _is_there(module, session, handle, identifier):
            return
        try:
            module.close_session(session)
        except TokenError as failure:
            _log.warning("a key that was lent to a token is not taken back: %s", failure)

    signing_threads().submit(close)


class LentKeys:
    """The keys that are lent now; each once per token, however many contexts use it."""

    def __init__(self) -> None:
        self._lent: WeakValueDictionary[tuple[str, ...], LentKey] = WeakValueDictionary()
        self._holders: WeakKeyDictionary[ssl.SSLContext, list[LentKey]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def lend(
        self, library: Path, label: str, serial: str, pin: Secret | None, key: PrivateKeyTypes
    ) -> LentKey:
        """Return the key as it is on the token; it is put there unless it is.

        `pin` is None for a token without login.
        """
        _, public_key = importable(key)
        pkcs11_provider().require(library)
        name = (str(library), label, serial, formats.public_key_der(public_key).hex())
        with self._lock:
            present = self._lent.get(name)
            if present is None or not present.is_there:
                module = Cryptoki(library)
                module.initialise()
                present = self._lent[name] = LentKey(module, label, serial, pin, key)
                kind = formats.key_description(public_key)
                _log.info("the token %r signs with a key of the database (%s)", label, kind)
            return present

    def hold(self, context: ssl.SSLContext, lent: LentKey) -> None:
        """The context uses the key: it stays lent for as long as the context lives."""
        self._holders.setdefault(context, []).append(lent)


@cache
def lent_keys() -> LentKeys:
    """The keys that this process lends."""
    return LentKeys()
