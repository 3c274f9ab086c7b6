"""Whether the tokens of a context sign is asked by handshakes in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.errors import TokenError
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.token_proof import prove_tokens
from tests.support.authority import self_signed

EC = self_signed("ec-cert")
RSA = self_signed("rsa-cert", key=rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def context() -> ServerContext:
    """Its keys are not on tokens, which no handshake can tell."""
    return build_server_context([EC, RSA], policy_named("intermediate"), alpn=(), tickets=False)


def test_each_key_on_a_token_is_asked_though_clients_would_choose_another(
    context: ServerContext,
) -> None:
    prove_tokens(replace(context, on_tokens=(EC.certificate,)))
    prove_tokens(replace(context, on_tokens=(RSA.certificate, EC.certificate)))


def test_a_token_that_does_not_sign_is_named(context: ServerContext) -> None:
    other = build_server_context([EC], policy_named("intermediate"), alpn=(), tickets=False)
    broken = replace(context, ssl_context=other.ssl_context, on_tokens=(RSA.certificate,))
    with pytest.raises(TokenError, match="'rsa-cert' does not sign") as caught:
        prove_tokens(broken)
    assert caught.value.temporary


def test_without_keys_on_tokens_nothing_is_asked(context: ServerContext) -> None:
    prove_tokens(context, first=True)
