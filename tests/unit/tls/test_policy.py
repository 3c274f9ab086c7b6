"""Profiles: what each lets a client speak."""

from __future__ import annotations

import ssl

import pytest

from mailfront.errors import ConfigurationError
from mailfront.tls.policy import apply_policy, policy_named
from mailfront.tls.profiles import PROFILES


def applied(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    apply_policy(policy_named(name), context)
    return context


def suites(context: ssl.SSLContext) -> set[str]:
    return {str(cipher["name"]) for cipher in context.get_ciphers()}


@pytest.mark.parametrize(
    ("name", "minimum"),
    [
        ("modern", ssl.TLSVersion.TLSv1_3),
        ("intermediate", ssl.TLSVersion.TLSv1_2),
        ("legacy", ssl.TLSVersion.TLSv1_2),
    ],
)
def test_no_profile_goes_below_tls_1_2(name: str, minimum: ssl.TLSVersion) -> None:
    assert applied(name).minimum_version == minimum


def test_intermediate_has_forward_secrecy_and_aead_only() -> None:
    for suite in suites(applied("intermediate")):
        assert suite.startswith(("TLS_", "ECDHE-"))
        assert "GCM" in suite or "CHACHA20" in suite


def test_legacy_adds_suites_for_old_clients() -> None:
    legacy = suites(applied("legacy"))
    assert suites(applied("intermediate")) < legacy
    assert "AES128-SHA" in legacy
    assert not any("RC4" in suite or "DES" in suite or "NULL" in suite for suite in legacy)


@pytest.mark.parametrize("name", [profile.name for profile in PROFILES])
def test_every_profile_forbids_renegotiation_and_compression(name: str) -> None:
    options = applied(name).options
    assert options & ssl.OP_NO_RENEGOTIATION
    assert options & ssl.OP_NO_COMPRESSION
    assert options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="use one of: modern, intermediate, legacy"):
        policy_named("paranoid")
