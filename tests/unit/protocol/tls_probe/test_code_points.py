"""The names of the registry are those that OpenSSL gives the same numbers."""

from __future__ import annotations

import ssl

from mailfront.protocol.tls_probe.code_points import ALERTS, SUITES_12, SUITES_13, name_of


def test_suites_that_openssl_knows_are_not_missing() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:!PSK:!SRP:!aDSS:@SECLEVEL=0")
    numbers = {cipher["id"] & 0xFFFF: cipher["name"] for cipher in context.get_ciphers()}
    missing = {name for number, name in numbers.items() if number not in SUITES_12 | SUITES_13}
    # Camellia and SHA-256 over finite fields: nobody has them without the suites beside them.
    assert {name for name in missing if "CAMELLIA" not in name and "ARIA" not in name} == set()


def test_an_unknown_number_is_shown_as_one() -> None:
    assert name_of(0x4A4A, SUITES_12) == "0x4A4A"
    assert name_of(40, ALERTS) == "handshake_failure"
