"""Keys of the certificate database that a token signs with: `modutil -default` put into effect.

Stands between the keystore and the contexts of services: gives the credentials of the keystore,
and those of a key that is lent to a token (`tls.lent_keys`) where a module is the default for such
keys. A token that cannot do it never keeps a service from serving: the key is then used in
software, which is logged, until the tokens were looked at again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.configuration.home import ServerRoot
from mailfront.errors import OperatorError, TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.accelerators import accelerator_faults, accelerator_for
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.pkcs11.key_reference import key_pem
from mailfront.keystore.pkcs11.modules import Module, external_modules
from mailfront.keystore.pkcs11.survey import SurveyedToken
from mailfront.keystore.records import CertificateRecord, Credentials, Inventory
from mailfront.server.token_contexts import Load
from mailfront.tls.lent_keys import LentKey, lent_keys

Lend = Callable[[Path, str, str, Secret | None, PrivateKeyTypes], LentKey]
# Between tries with a token that does not sign now, and with one that takes no key, in seconds.
_FIRST_DELAY, _LONGEST_DELAY, _REFUSED_DELAY = 1.0, 60.0, 3600.0

_log = logging.getLogger("mailfront.tls")


class Acceleration:
    """Implements `CredentialSource` around a keystore. Used by one thread at a time."""

    def __init__(
        self,
        root: ServerRoot,
        keystore: Keystore,
        *,
        lend: Lend | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lend = lend or lent_keys().lend
        self._root = root
        self._keystore = keystore
        self._clock = clock
        # Why the key of a nickname is used in software though a token should sign with it.
        self._refused: dict[str, OperatorError] = {}
        self._told: frozenset[str] = frozenset()
        self._broken: set[Path] = set()
        self._seen: object = None
        self._delay = _FIRST_DELAY
        self._retry_at = 0.0

    def looked(self) -> None:
        """The tokens were looked at: what is new is tried, what was refused at growing intervals
        only, for every try costs the services a new context."""
        seen = (self._modules(), self._keystore.tokens())
        if seen != self._seen or not self._refused:
            self._delay = _FIRST_DELAY
        elif self._clock() < self._retry_at:
            return
        self._seen = seen
        self._delay = min(self._delay * 2, _LONGEST_DELAY if self._may_pass() else _REFUSED_DELAY)
        self._retry_at = self._clock() + self._delay
        self.try_again()

    def try_again(self) -> None:
        """Try everything at the next load."""
        self._refused.clear()

    def take_broken(self) -> frozenset[Path]:
        """Return the modules whose tokens are there and did not sign since the last call."""
        broken = frozenset(self._broken)
        self._broken.clear()
        return broken

    @property
    def faulty(self) -> bool:
        """Whether a token is missed, or does not do now what it should."""
        return self._may_pass() or any(self._missed())

    def warnings(self) -> list[str]:
        """Why keys are used in software that a token should sign with."""
        found = [
            f"the key of {nickname!r} is used in software, no token signs with it: {failure}"
            for nickname, failure in sorted(self._refused.items())
        ]
        return [*self._missed(), *found]

    def tell(self) -> None:
        """Log what changed since the last time."""
        now = frozenset(self.warnings())
        for warning in sorted(now - self._told):
            _log.error("%s", warning)
        if self._told and not now:
            _log.info("tokens sign again with the keys of the certificate database")
        self._told = now

    def require(self, nickname: str) -> CertificateRecord:
        """Part of `CredentialSource`; with the `accelerator` if there is one."""
        record = self._keystore.require(nickname)
        token = self._token_for(record)
        return record if token is None else replace(record, accelerator=token.description.label)

    def credentials(self, nickname: str) -> Credentials:
        """Part of `CredentialSource`."""
        record = self._keystore.require(nickname)
        token = self._token_for(record)
        plain = self._keystore.credentials(nickname)
        if token is None:
            return plain
        try:
            return self._lent(plain, record.nickname, token)
        except OperatorError as failure:
            self._refuse(record.nickname, token, failure)
            return plain

    def inventory(self) -> Inventory:
        """Part of `CredentialSource`."""
        return self._keystore.inventory()

    def guarded(self, load: Load) -> Load:
        """Return `load`, which loads nicknames of this source, so that it does without tokens
        those that they only lend their help to, rather than not at all."""

        def load_at_any_rate(nicknames: Sequence[str]) -> bool:
            try:
                return load(nicknames)
            except TokenError as failure:
                if not self._refuse_all(nicknames, failure):
                    raise
                return load(nicknames)

        return load_at_any_rate

    def _lent(self, plain: Credentials, nickname: str, token: SurveyedToken) -> Credentials:
        description = token.description
        pin = None
        if description.login_required:
            pin = read_password(self._root.sslpassword_conf, description.label)
        key = self._keystore.internal.private_key(nickname)
        lent = self._lend(token.library, description.label, description.serial, pin, key)
        return replace(
            plain,
            key_pem=key_pem(lent.uri),
            passphrase=b"" if pin is None else pin.reveal().encode(),
            module=token.library,
            lent=lent,
        )

    def _refuse_all(self, nicknames: Iterable[str], failure: TokenError) -> bool:
        """Whether there was any among them that a token was to help with."""
        found = False
        for nickname in nicknames:
            record = self._keystore.find(nickname)
            token = None if record is None else self._token_for(record)
            if record is not None and token is not None:
                self._refuse(record.nickname, token, failure)
                found = True
        return found

    def _refuse(self, nickname: str, token: SurveyedToken, failure: OperatorError) -> None:
        self._refused[nickname] = failure
        if isinstance(failure, TokenError) and failure.temporary:
            self._broken.add(token.library)

    def _token_for(self, record: CertificateRecord) -> SurveyedToken | None:
        if record.token != INTERNAL_TOKEN or not record.has_key or record.nickname in self._refused:
            return None
        return accelerator_for(record.key_type, self._modules(), self._keystore.tokens())

    def _may_pass(self) -> bool:
        refusals = self._refused.values()
        return any(isinstance(each, TokenError) and each.temporary for each in refusals)

    def _missed(self) -> Iterator[str]:
        return accelerator_faults(self._modules(), self._keystore.tokens())

    def _modules(self) -> list[Module]:
        try:
            return external_modules(self._root)
        except TokenError:
            # Told by whoever looks at the tokens.
            return []
