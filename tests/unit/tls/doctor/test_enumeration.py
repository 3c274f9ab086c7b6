"""Versions, suites and groups, asked of OpenSSL's server side in memory."""

from __future__ import annotations

from collections.abc import Callable

from mailfront.keystore.internal_token import Credentials
from mailfront.protocol.tls_probe.answer import Answer
from mailfront.protocol.tls_probe.code_points import SSL30, TLS11, TLS12, TLS13
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.doctor.enumeration import (
    accepts,
    compresses,
    enumerate_groups,
    enumerate_suites,
    signs_with_sha1,
)
from tests.support.authority import self_signed
from tests.support.openssl_server import answer_of

CREDENTIALS = self_signed("x")


def prober(
    profile: str = "intermediate", credentials: Credentials = CREDENTIALS
) -> Callable[[Offer], Answer]:
    def probe(offer: Offer) -> Answer:
        answer = Answer()
        answer.feed(answer_of(offer, credentials, profile=profile))
        return answer

    return probe


def test_versions_are_accepted_or_not() -> None:
    probe = prober()
    assert accepts(probe, TLS13, "localhost") is not None
    assert accepts(probe, TLS12, "localhost") is not None
    assert accepts(probe, TLS11, "localhost") is None
    assert accepts(probe, SSL30, "") is None


def test_suites_come_in_the_server_s_order() -> None:
    found = enumerate_suites(prober(), TLS12, "localhost")
    assert set(found.suites) == {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
    assert found.server_order is True
    assert found.smallest_prime == 0


def test_a_version_that_is_not_accepted_has_no_suites() -> None:
    found = enumerate_suites(prober("modern"), TLS12, "localhost")
    assert found.suites == ()
    assert found.server_order is None


def test_the_suites_of_tls_1_3_are_found_without_a_key_share() -> None:
    found = enumerate_suites(prober(), TLS13, "localhost")
    assert "TLS_AES_128_GCM_SHA256" in found.suites
    assert "TLS_AES_128_CCM_8_SHA256" not in found.suites


def test_groups_are_found_in_both_versions() -> None:
    assert {"x25519", "secp256r1"} <= set(enumerate_groups(prober(), TLS13, "localhost"))
    assert {"x25519", "secp256r1"} <= set(enumerate_groups(prober(), TLS12, "localhost"))


def test_neither_sha1_nor_compression_is_accepted() -> None:
    assert signs_with_sha1(prober(), "localhost") is False
    assert compresses(prober(), "localhost") is False


def test_a_server_that_obeys_the_client_s_order_is_seen() -> None:
    order = [0xC02F, 0xC030]

    def obedient(offer: Offer) -> Answer:
        answer = Answer()
        for suite in offer.suites:
            if suite in order:
                answer.version, answer.suite = TLS12, suite
                break
        return answer

    assert enumerate_suites(obedient, TLS12, "").server_order is False


def test_a_server_that_chooses_what_was_not_offered_ends_the_probing() -> None:
    def stubborn(offer: Offer) -> Answer:
        answer = Answer()
        answer.version, answer.suite, answer.group = TLS12, 0x0005, 0x1D
        return answer

    assert enumerate_suites(stubborn, TLS12, "").suites == ("TLS_RSA_WITH_RC4_128_SHA",)
    assert enumerate_groups(stubborn, TLS12, "") == ("x25519",)
