"""Words for a failed handshake."""

from __future__ import annotations

import ssl

import pytest

from mailfront.tls.failure import failure_reason


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


def test_the_text_of_the_error_is_never_used() -> None:
    assert "octets" not in failure_reason(failed("SOMETHING_NEW"))
