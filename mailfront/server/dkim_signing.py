"""DKIM signatures of the mail that goes out: options and keystore into a `MessageSigner`.

Follows the keystore: a key that is replaced or removed there is not used any more. A key that is
named and missing is a problem that the status tells; mail goes out without its signature.
"""

from __future__ import annotations

import asyncio
import logging

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import KeystoreError
from mailfront.interfaces.message_sink import Envelope, Message
from mailfront.keystore.internal_token import InternalToken
from mailfront.outgoing.dkim.keys import DomainKey, key_name, parse_selectors, signing_key
from mailfront.outgoing.dkim.signer import MessageSigner

OPTION = "dkim.selectors"

_log = logging.getLogger("mailfront.dkim")


def configured_keys(
    configuration: Configuration, token: InternalToken
) -> tuple[list[DomainKey], list[str]]:
    """Return the keys that the options name, and what is wrong with those that cannot be used.

    Raises `ConfigurationError` for an item that names no key.
    """
    keys: list[DomainKey] = []
    problems: list[str] = []
    for domain, selectors in parse_selectors(configuration.names(OPTION)).items():
        for selector in selectors:
            name = key_name(domain, selector)
            try:
                key = signing_key(token.private_key(name), name)
            except KeystoreError as failure:
                problems.append(f"{OPTION}: {domain}:{selector}: {failure}")
            else:
                keys.append(DomainKey(domain, selector, key))
    return keys, problems


class DkimSigning:
    """Signs what goes out; `follow` may be called in a thread."""

    def __init__(self, configuration: Configuration, token: InternalToken) -> None:
        self._configuration = configuration
        self._signer = MessageSigner()
        self.problems: list[str] = []
        self.follow(token)

    def follow(self, token: InternalToken) -> None:
        """Sign with the keys that the keystore holds now."""
        keys, problems = configured_keys(self._configuration, token)
        self._signer.use(keys)
        for problem in problems:
            if problem not in self.problems:
                _log.error("%s; mail goes out without its signature", problem)
        self.problems = problems

    async def sign(self, envelope: Envelope, message: Message) -> bytes:
        """Return the fields to put before a message, which may be none."""
        if not self._signer.has_keys:
            return b""
        return await asyncio.to_thread(self._signer.sign, message, envelope.sender)
