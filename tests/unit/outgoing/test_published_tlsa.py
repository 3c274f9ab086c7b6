"""TLSA records of our own keys, and which of them a renewal would leave behind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from dns.rdata import from_text

from mailfront.keystore.formats import certificate_der, certificate_public_key_der
from mailfront.outgoing.published_tlsa import orphaned_records, tlsa_data, tlsa_name
from mailfront.outgoing.resolver import Answer, NameServer, Resolver
from tests.support.issuing import Issuer

ISSUER = Issuer()
FORMER = ISSUER.issue("mail.example.test")
SAME_KEY = ISSUER.issue("mail.example.test", key=FORMER.key).leaf
OTHER = ISSUER.issue("mail.example.test").leaf
NAME = "_25._tcp.mail.example.test"


@dataclass
class Zone(Resolver):
    """A resolver that knows the TLSA records of one name."""

    texts: tuple[str, ...] = field(default_factory=tuple)

    async def lookup(self, name: str, kind: str) -> Answer:
        assert (name, kind) == (NAME, "TLSA")
        return Answer(name, tuple(from_text("IN", "TLSA", text) for text in self.texts))


def no_servers() -> tuple[NameServer, ...]:
    return ()


async def orphans(renewed: x509.Certificate, *texts: str) -> tuple[str, ...]:
    return await orphaned_records(Zone(no_servers, texts=texts), NAME, FORMER.leaf, renewed)


def record(certificate: x509.Certificate) -> str:
    return tlsa_data(certificate_public_key_der(certificate))


def test_records_stand_below_port_and_host() -> None:
    assert tlsa_name("Mail.example.test.", 25) == NAME


async def test_a_record_that_only_the_former_key_fits_is_left_behind() -> None:
    assert await orphans(OTHER, record(FORMER.leaf)) == (record(FORMER.leaf),)


async def test_a_record_of_the_new_key_beside_it_is_enough() -> None:
    assert await orphans(OTHER, record(FORMER.leaf), record(OTHER)) == ()


async def test_a_renewal_with_the_same_key_leaves_nothing_behind() -> None:
    assert await orphans(SAME_KEY, record(FORMER.leaf)) == ()


async def test_records_of_others_and_none_do_not_matter() -> None:
    assert await orphans(OTHER) == ()
    assert await orphans(OTHER, "3 1 1 " + "ab" * 32, "2 1 1 " + "cd" * 32) == ()


@pytest.mark.parametrize(
    "text",
    [
        f"3 0 1 {hashlib.sha256(certificate_der(FORMER.leaf)).hexdigest()}",
        f"3 0 2 {hashlib.sha512(certificate_der(FORMER.leaf)).hexdigest()}",
        f"3 1 0 {certificate_public_key_der(FORMER.leaf).hex()}",
    ],
    # The key is another in each process.
    ids=["SHA-256", "SHA-512", "whole key"],
)
async def test_every_form_of_record_is_known(text: str) -> None:
    assert len(await orphans(OTHER, text)) == 1
