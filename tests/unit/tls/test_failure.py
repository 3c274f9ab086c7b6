"""Words for a failed handshake."""

from __future__ import annotations

import ssl

import pytest

from mailfront.interfaces.client_certificate import CertificateFault
from mailfront.tls.client_authentication import RESULTS
from mailfront.tls.failure import advice, clear_text_reason, failure_reason, is_record


def failed(reason: str | None) -> ssl.SSLError:
    failure = ssl.SSLError(1, "text with [octets] of the peer")
    failure.reason = reason  # type: ignore[assignment]
    return failure


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("NO_SHARED_CIPHER", "no shared cipher"),
        ("HTTP_REQUEST", "not TLS: plain HTTP"),
        ("TLSV1_ALERT_UNKNOWN_CA", "client does not trust our certificate"),
        ("UNSUPPORTED_PROTOCOL", "protocol version"),
        ("BAD_RECORD_TYPE", "bad record type"),
        (None, "unknown"),
    ],
)
def test_a_reason_of_openssl_becomes_words_for_people(reason: str | None, words: str) -> None:
    assert failure_reason(failed(reason)) == words


@pytest.mark.parametrize("fault", [fault for fault in CertificateFault if fault.value])
def test_each_fault_of_a_client_certificate_has_its_words_and_advice(
    fault: CertificateFault,
) -> None:
    failure = ssl.SSLCertVerificationError(1, "text")
    failure.reason = "CERTIFICATE_VERIFY_FAILED"
    failure.verify_code = RESULTS[fault]
    words = failure_reason(failure)
    assert words.startswith("client's certificate")
    assert words != "client's certificate refused"
    assert advice(words)


def test_another_result_of_verification_is_a_refusal() -> None:
    failure = ssl.SSLCertVerificationError(1, "text")
    failure.reason, failure.verify_code = "CERTIFICATE_VERIFY_FAILED", 99
    assert failure_reason(failure) == "client's certificate refused"


def test_the_text_of_the_error_is_never_used() -> None:
    assert "octets" not in failure_reason(failed("SOMETHING_NEW"))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "not TLS: plain HTTP"),
        (b"PRI * HTTP/2.0\r\n", "not TLS: plain HTTP"),
        (b"EHLO client\r\n", "not TLS: a mail command in clear"),
        (b"a001 capability\r\n", "not TLS: a mail command in clear"),
        (b". NOOP\r\n", "not TLS: a mail command in clear"),
        (b"CAPA\r\n", "not TLS: a mail command in clear"),
        (b"SSH-2.0-OpenSSH\r\n", "not TLS"),
        (b"G", "not TLS"),
        (b"", "not TLS"),
    ],
)
def test_who_speaks_something_else_is_told_apart(octets: bytes, reason: str) -> None:
    assert clear_text_reason(octets) == reason


@pytest.mark.parametrize(
    ("octet", "record"), [(0x16, True), (0x15, True), (0x80, True), (0x47, False), (0x00, False)]
)
def test_a_first_octet_may_be_tls(octet: int, record: bool) -> None:
    assert is_record(octet) is record


def test_advice_is_given_where_an_operator_can_do_something() -> None:
    assert "STARTTLS" in advice("not TLS: a mail command in clear")
    assert advice("connection reset") == ""
