"""Access tokens: the right one, and every way to be a wrong one."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from mailfront.authentication.access_token import (
    MAXIMUM_TOKEN_CHARACTERS,
    AccessTokens,
    IssuerSettings,
)
from mailfront.errors import DirectoryUnavailableError, TokenRefusedError
from mailfront.interfaces.secret import Secret

ISSUER, AUDIENCE, NOW = "https://login.example.test", "mail.example.test", 1_800_000_000
KEY = ECKey.generate_key("P-256", {"kid": "one"})
NEXT = ECKey.generate_key("P-256", {"kid": "two"})
CLAIMS: dict[str, object] = {
    "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "email": "alice@example.test",
}  # fmt: skip


class Keys:
    """The keys of an issuer that has changed them since we looked."""

    def __init__(self) -> None:
        self.known: KeySet | None = KeySet([KEY])
        self.looks = 0

    async def keys(self) -> KeySet:
        if self.known is None:
            raise DirectoryUnavailableError("not known yet")
        return self.known

    async def fresh_keys(self) -> KeySet:
        self.looks += 1
        self.known = KeySet([KEY, NEXT])
        return self.known


def tokens(claim: str = "email") -> AccessTokens:
    return AccessTokens(IssuerSettings(ISSUER, AUDIENCE, claim), Keys(), clock=lambda: NOW)


def token(claims: dict[str, object] | None = None, *, key: ECKey = KEY, **header: object) -> Secret:
    shown = {"alg": "ES256", "kid": key.kid, **header}
    return Secret(jwt.encode(shown, CLAIMS if claims is None else claims, key))


async def refusal(offered: Secret, claim: str = "email") -> str:
    with pytest.raises(TokenRefusedError) as caught:
        await tokens(claim).user_of(offered)
    assert offered.reveal() not in str(caught.value) or not offered.reveal()
    return str(caught.value)


async def test_a_token_of_the_issuer_for_us_names_its_user() -> None:
    assert await tokens().user_of(token()) == "alice@example.test"
    assert await tokens().user_of(token(typ="at+jwt")) == "alice@example.test"
    several = token({**CLAIMS, "aud": ["other", AUDIENCE]})
    assert await tokens().user_of(several) == "alice@example.test"


async def test_the_claim_that_names_the_user_is_the_operators_choice() -> None:
    named = token({**CLAIMS, "preferred_username": "ann"})
    assert await tokens("preferred_username").user_of(named) == "ann"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://login.example.org"}, {"iss": ISSUER + "/"}, {"aud": "other"},
        {"aud": ["other"]}, {"aud": AUDIENCE.upper()}, {"exp": NOW - 61}, {"exp": "soon"},
        {"nbf": NOW + 61}, {"iat": NOW + 3600}, {"email": ""}, {"email": ["alice@example.test"]},
        {"email_verified": False}, {"email_verified": "false"},
    ],
)  # fmt: skip
async def test_a_token_with_another_claim_is_refused(changed: dict[str, object]) -> None:
    await refusal(token({**CLAIMS, **changed}))


@pytest.mark.parametrize("missing", ["iss", "aud", "exp", "email"])
async def test_a_token_without_a_claim_is_refused(missing: str) -> None:
    await refusal(token({name: value for name, value in CLAIMS.items() if name != missing}))


async def test_clocks_may_differ_a_little() -> None:
    assert await tokens().user_of(token({**CLAIMS, "exp": NOW - 30, "nbf": NOW + 30}))


async def test_a_token_by_another_key_is_refused() -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "one"})
    await refusal(token(key=stranger))


async def test_a_token_of_another_type_is_refused() -> None:
    await refusal(token(typ="logout+jwt"))


async def test_no_algorithm_with_a_shared_secret_and_none_at_all_count() -> None:
    public = json.dumps(KEY.as_dict(private=False)).encode()
    forged = jwt.encode({"alg": "HS256", "kid": "one"}, CLAIMS, OctKey.import_key(public))
    await refusal(Secret(forged))
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).decode().rstrip("=")
    await refusal(Secret(f"{head}.{body}."))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSAKey.generate_key(2048, {"kid": "one"}), "RS256"),
        (RSAKey.generate_key(2048, {"kid": "one"}), "PS256"),
        (OKPKey.generate_key("Ed25519", {"kid": "one"}), "EdDSA"),
        (ECKey.generate_key("P-384", {"kid": "one"}), "ES384"),
    ],
)
async def test_the_usual_algorithms_count(key: RSAKey | OKPKey | ECKey, algorithm: str) -> None:
    keys = Keys()
    keys.known = KeySet([key])
    reader = AccessTokens(IssuerSettings(ISSUER, AUDIENCE, "email"), keys, clock=lambda: NOW)
    signed = jwt.encode({"alg": algorithm, "kid": "one"}, CLAIMS, key, algorithms=[algorithm])
    assert await reader.user_of(Secret(signed)) == "alice@example.test"


async def test_a_key_that_is_not_known_is_looked_for_once() -> None:
    keys = Keys()
    reader = AccessTokens(IssuerSettings(ISSUER, AUDIENCE, "email"), keys, clock=lambda: NOW)
    assert await reader.user_of(token(key=NEXT)) == "alice@example.test"
    assert keys.looks == 1
    with pytest.raises(TokenRefusedError):
        await reader.user_of(token(kid="third"))
    assert keys.looks == 2


async def test_while_the_keys_are_not_known_nothing_is_said_of_the_token() -> None:
    keys = Keys()
    keys.known = None
    reader = AccessTokens(IssuerSettings(ISSUER, AUDIENCE, "email"), keys)
    with pytest.raises(DirectoryUnavailableError):
        await reader.user_of(token())


@pytest.mark.parametrize(
    "text", ["", "opaque", "a.b.c", "x" * (MAXIMUM_TOKEN_CHARACTERS + 1), "." * 100, "e30.e30.e30"]
)
async def test_what_is_no_signed_token_is_refused(text: str) -> None:
    await refusal(Secret(text))


@given(st.text(max_size=60))
async def test_any_text_is_a_user_or_a_refusal(text: str) -> None:
    for offered in (text, f"{text}.{text}.{text}"):
        with pytest.raises(TokenRefusedError):
            await tokens().user_of(Secret(offered))
