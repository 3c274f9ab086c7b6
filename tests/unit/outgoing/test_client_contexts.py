"""The contexts with which other servers are spoken to."""

from __future__ import annotations

import ssl

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.records import Credentials
from mailfront.outgoing.client_contexts import ClientContexts
from mailfront.outgoing.tls_decision import Protection
from tests.support.authority import self_signed
from tests.support.issuing import Issuer
from tests.support.outgoing import no_certificate


def test_only_where_a_ca_must_vouch_does_openssl_refuse() -> None:
    contexts = ClientContexts(lambda: [Issuer().root], no_certificate)
    for protection in Protection:
        context = contexts.context(protection)
        expected = ssl.CERT_REQUIRED if protection is Protection.VERIFIED else ssl.CERT_NONE
        assert context.verify_mode is expected
        assert not context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.cert_store_stats()["x509_ca"] == 1


def test_contexts_are_kept_until_the_keystore_changes() -> None:
    contexts = ClientContexts(list, no_certificate)
    first = contexts.context(Protection.DANE)
    assert contexts.context(Protection.DANE) is first
    contexts.forget()
    assert contexts.context(Protection.DANE) is not first


def test_a_channel_s_certificate_is_taken_from_the_keystore() -> None:
    asked = []

    def credentials(nickname: str) -> Credentials:
        asked.append(nickname)
        return self_signed(nickname)

    contexts = ClientContexts(list, credentials)
    contexts.context(Protection.ENCRYPTED, "client")
    contexts.context(Protection.ENCRYPTED, "client")
    assert asked == ["client"]
    with pytest.raises(KeystoreError):
        ClientContexts(list, no_certificate).context(Protection.ENCRYPTED, "client")
