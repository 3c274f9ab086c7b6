"""A certificate is judged once more, and confirmed with whoever issued it, before it is mapped.

Takes the mapper, and what judges certificates at this moment (`authentication.present_trust`):
the fault that the handshake found may be days old.
"""

from __future__ import annotations

from mailfront.authentication.certificate_login import Mapper
from mailfront.authentication.present_trust import PresentTrust
from mailfront.directory.entry import Entry
from mailfront.interfaces.client_certificate import ClientCertificate


class ConfirmedMapper:
    """Implements `certificate_login.Mapper`."""

    def __init__(self, mapper: Mapper, trust: PresentTrust) -> None:
        self._mapper = mapper
        self._trust = trust

    async def map(self, certificate: ClientCertificate, service: str) -> Entry:
        """Return whose it is. Raises `MappingRefusedError`, `DirectoryUnavailableError`."""
        return await self._mapper.map(await self._trust.confirmed(certificate), service)

    def accepts(self, certificate: ClientCertificate) -> bool:
        """Whether it is verified at present, or of a kind that a mapping may have pinned."""
        return self._mapper.accepts(self._trust.judged(certificate))
