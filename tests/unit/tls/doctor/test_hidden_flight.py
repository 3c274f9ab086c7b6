"""What TLS 1.3 encrypts is read with the handshake keys, and only with the right ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.errors import TlsAnswerError
from mailfront.protocol.tls_probe.answer import Answer
from mailfront.protocol.tls_probe.code_points import TLS13
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.doctor.hidden_flight import DECRYPTABLE, HiddenFlight, KeyPairs
from tests.support.authority import self_signed
from tests.support.openssl_server import answer_of

KEYS = KeyPairs.generate()
CREDENTIALS = self_signed("x")


def offer_of(suite: int, share: int) -> Offer:
    group, key = KEYS.shares()[share]
    return Offer(TLS13, (suite,), (group,), key_shares=[(group, key)], alpn=("imap",))


def answered(offer: Offer) -> Answer:
    answer = Answer()
    answer.feed(answer_of(offer, CREDENTIALS, alpn=("imap",)))
    return answer


@pytest.mark.parametrize("suite", DECRYPTABLE)
@pytest.mark.parametrize("share", [0, 1])
def test_chain_signature_and_alpn_are_seen(suite: int, share: int) -> None:
    offer = offer_of(suite, share)
    answer = answered(offer)
    hidden = HiddenFlight(offer, answer, KEYS)
    for header, payload in answer.encrypted:
        hidden.take(header, payload)
    assert answer.is_finished
    assert answer.suite == suite
    assert answer.alpn == "imap"
    assert answer.signature_scheme == 0x0403
    (leaf,) = answer.chain
    assert CREDENTIALS.certificate.signature in leaf


def test_other_keys_read_nothing() -> None:
    offer = offer_of(0x1301, 0)
    answer = answered(offer)
    hidden = HiddenFlight(offer, answer, KeyPairs.generate())
    with pytest.raises(TlsAnswerError):
        hidden.take(*answer.encrypted[0])


def test_another_transcript_reads_nothing() -> None:
    offer = offer_of(0x1301, 0)
    answer = answered(offer)
    hidden = HiddenFlight(replace(offer, random=bytes(32)), answer, KEYS)
    with pytest.raises(TlsAnswerError):
        hidden.take(*answer.encrypted[0])


def test_a_retry_cannot_be_read() -> None:
    offer = Offer(TLS13, groups=(0x17,))
    with pytest.raises(TlsAnswerError):
        HiddenFlight(offer, answered(offer), KEYS)


@pytest.mark.parametrize("group", [0x1D, 0x17])
def test_an_invalid_share_is_refused(group: int) -> None:
    with pytest.raises(TlsAnswerError):
        KEYS.shared_secret(group, bytes(32))
