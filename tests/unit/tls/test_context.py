"""Contexts out of credentials and policy."""

from __future__ import annotations

import os
import ssl
from dataclasses import replace

import pytest

from mailfront.errors import KeystoreError
from mailfront.tls.context import build_server_context
from mailfront.tls.policy import policy_named
from tests.support.authority import self_signed

POLICY = policy_named("intermediate")


def test_a_context_tells_what_it_presents() -> None:
    credentials = self_signed("imap-cert")
    made = build_server_context([credentials], POLICY, alpn=("imap",), tickets=True)
    assert made.nickname == "imap-cert"
    assert made.expires == credentials.certificate.not_valid_after_utc
    assert len(made.fingerprint.split(":")) == 32
    assert made.ssl_context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("tickets", [True, False])
def test_tickets_are_one_or_none(tickets: bool) -> None:
    context = build_server_context([self_signed("x")], POLICY, alpn=(), tickets=tickets).ssl_context
    assert context.num_tickets == (1 if tickets else 0)
    assert bool(context.options & ssl.OP_NO_TICKET) is not tickets


def test_a_key_that_openssl_refuses_is_named_without_its_passphrase() -> None:
    credentials = replace(self_signed("broken"), passphrase=b"not the passphrase")
    with pytest.raises(KeystoreError) as caught:
        build_server_context([credentials], POLICY, alpn=(), tickets=True)
    assert "'broken'" in str(caught.value)
    assert "not the passphrase" not in str(caught.value)


def test_no_descriptor_of_the_key_stays_open() -> None:
    credentials = self_signed("x")
    before = len(os.listdir("/proc/self/fd"))
    build_server_context([credentials], POLICY, alpn=(), tickets=True)
    assert len(os.listdir("/proc/self/fd")) == before
