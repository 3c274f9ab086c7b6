from __future__ import annotations

import ssl

from mailfront.tls.client_context import build_client_context
from tests.support.authority import self_signed


def test_certificates_and_names_are_verified_always() -> None:
    context = build_client_context([])
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.hostname_checks_common_name
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_nothing_is_verified_where_that_is_switched_off() -> None:
    context = build_client_context([], check=False)
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_the_authorities_given_are_trusted_and_nobody_else() -> None:
    assert build_client_context([]).cert_store_stats()["x509"] == 0
    authority = self_signed("store").certificate
    assert build_client_context([authority]).cert_store_stats()["x509"] == 1
