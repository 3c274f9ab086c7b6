"""A ClientHello of our own is understood by OpenSSL's server side."""

from __future__ import annotations

import pytest

from mailfront.protocol.tls_probe.code_points import SSL30, SUITES_13, TLS10, TLS12, TLS13
from mailfront.protocol.tls_probe.offer import Offer


def test_all_lengths_in_the_record_agree() -> None:
    record = Offer(TLS13, server_name="mail.example.org", alpn=("imap",)).record()
    assert record[0] == 22
    assert int.from_bytes(record[3:5]) == len(record) - 5
    assert int.from_bytes(record[6:9]) == len(record) - 9


def test_the_message_of_the_transcript_is_the_one_that_is_sent() -> None:
    offer = Offer(TLS12)
    assert offer.record()[5:] == offer.message()


@pytest.mark.parametrize(
    ("version", "on_record", "in_message"),
    [(SSL30, SSL30, SSL30), (TLS10, TLS10, TLS10), (TLS12, TLS10, TLS12), (TLS13, TLS10, TLS12)],
)
def test_versions_are_told_as_their_standards_want_it(
    version: int, on_record: int, in_message: int
) -> None:
    record = Offer(version).record()
    assert int.from_bytes(record[1:3]) == on_record
    assert int.from_bytes(record[9:11]) == in_message


def test_ssl3_has_no_extensions() -> None:
    message = Offer(SSL30, suites=(5,)).message()
    # Header, version, random, no session, one suite, one compression method.
    assert len(message) == 4 + 2 + 32 + 1 + 4 + 2


def test_without_suites_all_of_the_version_are_offered() -> None:
    assert b"".join(suite.to_bytes(2) for suite in SUITES_13) in Offer(TLS13).message()
