"""What a client's certificate means for its login: whose it is, and whose passwords it rules out.

Takes the client; returns the entry to which its certificate maps, or a refusal of somebody else's
credentials. A certificate that maps to nobody means nothing: people present certificates to
whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mailfront.authentication.password_login import WRONG
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import MappingRefusedError
from mailfront.interfaces.authenticator import LoginClient, Refusal
from mailfront.interfaces.client_certificate import ClientCertificate


class Mapper(Protocol):
    """Maps certificates to entries (`authentication.certificate_mapping`)."""

    async def map(self, certificate: ClientCertificate, service: str) -> Entry:
        """Return whose it is. Raises `MappingRefusedError`, `DirectoryUnavailableError`."""
        ...

    def accepts(self, certificate: ClientCertificate) -> bool:
        """Whether it is verified, or of a kind that a mapping may have pinned."""
        ...


@dataclass(frozen=True, slots=True)
class LoginRules:
    """What a service adds: whether anything but a certificate is taken, any password from who has
    one, and the password of another user than the certificate's."""

    password_login: bool = True
    any_password: bool = False
    other_user: bool = False


_USUAL = LoginRules()


class CertificateLogin:
    """Whose certificates are; `rules` are by service (imta, imap, pop, http)."""

    def __init__(self, mapper: Mapper | None, rules: Mapping[str, LoginRules] | None) -> None:
        self._mapper = mapper
        self._rules = rules or {}

    def rules_of(self, client: LoginClient) -> LoginRules:
        """Return the rules of the service that `client` asks."""
        return self._rules.get(client.service, _USUAL)

    def accepts(self, client: LoginClient) -> bool:
        """Whether the certificate is of a kind that logs anybody in."""
        certificate, mapper = client.certificate, self._mapper
        return certificate is not None and mapper is not None and mapper.accepts(certificate)

    async def mapped(self, client: LoginClient) -> Entry:
        """Return whom the certificate stands for.

        Raises `MappingRefusedError`, and `DirectoryUnavailableError` if it cannot be told now.
        """
        if client.certificate is None:
            raise MappingRefusedError("no certificate was presented")
        if self._mapper is None:
            raise MappingRefusedError("certificates are not mapped")
        entry = await self._mapper.map(client.certificate, client.service)
        if entry.status is AccountStatus.DELETED:
            raise MappingRefusedError(f"the account of {entry.user} is deleted")
        return entry

    async def holder(self, client: LoginClient) -> Entry | None:
        """Return whose certificate came with a login by other means; None for nobody's.

        Raises `DirectoryUnavailableError`.
        """
        if not self.accepts(client):
            return None
        try:
            return await self.mapped(client)
        except MappingRefusedError:
            return None

    def stranger(
        self, client: LoginClient, entry: Entry | None, holder: Entry | None
    ) -> Refusal | None:
        """Refuse the credentials of somebody else than the holder of the certificate."""
        if holder is None or self.rules_of(client).other_user:
            return None
        if entry is not None and entry.user == holder.user:
            return None
        return Refusal(WRONG, f"the certificate is that of {holder.user}")
