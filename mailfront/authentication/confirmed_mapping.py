"""A certificate is confirmed with whoever issued it before it is mapped to a user.

Takes the mapper, and a question that may take its time (`tls.client_ocsp`), which it puts to no
certificate that would log nobody in anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailfront.authentication.certificate_login import Mapper
from mailfront.directory.entry import Entry
from mailfront.interfaces.client_certificate import ClientCertificate

Confirm = Callable[[ClientCertificate], Awaitable[ClientCertificate]]


class ConfirmedMapper:
    """Implements `certificate_login.Mapper`. `confirm` None: nobody is asked."""

    def __init__(self, mapper: Mapper, confirm: Confirm | None = None) -> None:
        self.confirm = confirm
        self._mapper = mapper

    async def map(self, certificate: ClientCertificate, service: str) -> Entry:
        """Return whose it is. Raises `MappingRefusedError`, `DirectoryUnavailableError`."""
        if self.confirm is not None and certificate.verified:
            certificate = await self.confirm(certificate)
        return await self._mapper.map(certificate, service)

    def accepts(self, certificate: ClientCertificate) -> bool:
        """Whether it is verified, or of a kind that a mapping may have pinned."""
        return self._mapper.accepts(certificate)
