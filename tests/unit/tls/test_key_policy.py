"""Which keys a policy has a use for."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from mailfront.tls.key_policy import key_fault, personality_warnings
from mailfront.tls.policy import Policy, choose_suites, choose_versions, make_policy, policy_named
from mailfront.tls.profiles import profile_named
from tests.support.authority import SigningKey, self_signed

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256, P521 = (ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP521R1()))
ED25519 = ed25519.Ed25519PrivateKey.generate()
INTERMEDIATE, LEGACY = policy_named("intermediate"), policy_named("legacy")


def listed(ciphers: str, maximum: str = "") -> Policy:
    profile = profile_named("intermediate")
    versions = choose_versions(profile, maximum=maximum)
    return make_policy(profile, versions, choose_suites(profile, versions, ciphers))


def certificates(*keys: SigningKey) -> list[x509.Certificate]:
    return [self_signed("x", key=key).certificate for key in keys]


@pytest.mark.parametrize(
    "key",
    [RSA, P256, ec.generate_private_key(ec.SECP384R1()), ED25519],
    ids=["RSA", "P-256", "P-384", "Ed25519"],
)
def test_the_usual_keys_are_fit_for_every_policy(key: SigningKey) -> None:
    for name in ("modern", "intermediate", "legacy"):
        assert key_fault(key.public_key(), policy_named(name)) == ""


def test_p_521_is_refused_but_in_legacy_and_warned_of_there() -> None:
    fault = key_fault(P521.public_key(), INTERMEDIATE)
    assert "P-521" in fault
    assert "intermediate-2026-11" in fault
    assert key_fault(P521.public_key(), LEGACY) == ""
    [warning] = personality_warnings(certificates(P521), LEGACY)
    assert warning.startswith("few clients can verify P-521")
    assert personality_warnings(certificates(P521, RSA), LEGACY) == []


def test_a_weak_key_is_refused_by_every_policy() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for policy in (INTERMEDIATE, LEGACY):
        assert "too weak" in key_fault(weak.public_key(), policy)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
        ed448.Ed448PrivateKey.generate(),
        dsa.generate_private_key(2048),
    ],
    ids=["secp256k1", "brainpool", "Ed448", "DSA"],
)
def test_a_key_that_no_client_can_verify_is_refused(
    key: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | dsa.DSAPrivateKey,
) -> None:
    assert "can verify" in key_fault(key.public_key(), LEGACY)


def test_ed25519_alone_is_warned_of_and_beside_another_not() -> None:
    [warning] = personality_warnings(certificates(ED25519), INTERMEDIATE)
    assert "cannot verify Ed25519" in warning
    assert personality_warnings(certificates(ED25519, P256), INTERMEDIATE) == []


def test_a_list_without_a_suite_for_the_key_is_warned_of_or_refused() -> None:
    only_rsa = "ECDHE-RSA-AES128-GCM-SHA256"
    [warning] = personality_warnings(certificates(P256), listed(only_rsa))
    assert warning.startswith("no client gets TLS 1.2")
    assert personality_warnings(certificates(P256, RSA), listed(only_rsa)) == []
    assert "no cipher suite" in key_fault(P256.public_key(), listed(only_rsa, "TLSv1.2"))
    assert key_fault(RSA.public_key(), listed(only_rsa, "TLSv1.2")) == ""
