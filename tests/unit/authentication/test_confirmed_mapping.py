"""Certificates are confirmed before they are mapped, and only those that may log somebody in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.authentication.confirmed_mapping import ConfirmedMapper
from mailfront.directory.entry import Entry
from mailfront.errors import MappingRefusedError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate

CERTIFICATE = ClientCertificate(b"leaf")


class Mapper:
    """Refuses everybody, and notes what it was given."""

    def __init__(self) -> None:
        self.given: list[ClientCertificate] = []

    async def map(self, certificate: ClientCertificate, service: str) -> Entry:
        self.given.append(certificate)
        raise MappingRefusedError(f"{service}: {certificate.fault.value}")

    def accepts(self, certificate: ClientCertificate) -> bool:
        return certificate.verified


async def revoked(certificate: ClientCertificate) -> ClientCertificate:
    return replace(certificate, fault=CertificateFault.REVOKED)


async def test_the_mapper_is_given_what_was_confirmed() -> None:
    mapper = Mapper()
    with pytest.raises(MappingRefusedError, match="imap: it is revoked"):
        await ConfirmedMapper(mapper, revoked).map(CERTIFICATE, "imap")
    assert [one.fault for one in mapper.given] == [CertificateFault.REVOKED]


@pytest.mark.parametrize(
    "certificate", [CERTIFICATE, replace(CERTIFICATE, fault=CertificateFault.UNTRUSTED)]
)
async def test_without_a_question_or_a_need_for_one_it_is_mapped_as_it_is(
    certificate: ClientCertificate,
) -> None:
    mapper = Mapper()
    confirm = None if certificate.verified else revoked
    with pytest.raises(MappingRefusedError):
        await ConfirmedMapper(mapper, confirm).map(certificate, "imap")
    assert mapper.given == [certificate]


def test_what_is_accepted_is_the_mappers_choice() -> None:
    mapper = ConfirmedMapper(Mapper(), revoked)
    assert mapper.accepts(CERTIFICATE)
    assert not mapper.accepts(replace(CERTIFICATE, fault=CertificateFault.EXPIRED))
