"""Chains: leaf first, then its issuers, whatever the order in which they came."""

from __future__ import annotations

import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailfront.errors import KeystoreError
from mailfront.keystore.chain import (
    build_chain,
    find_leaf,
    is_authority,
    is_issued_by,
    is_self_signed,
    with_public_key,
)
from mailfront.keystore.formats import certificate_der, certificate_public_key_der
from tests.support.keystores import authority, certificate_for, intermediate, issued_by, self_signed

ROOT_KEY, ROOT = authority("Example Root")
UPPER_KEY, UPPER = intermediate(ROOT_KEY, ROOT, "Example Upper")
LOWER_KEY, LOWER = intermediate(UPPER_KEY, UPPER, "Example Lower")
LEAF_KEY, LEAF = issued_by(LOWER_KEY, LOWER, "mail.example.test")
_, STRANGER = self_signed("stranger.example.test")
_, NAMESAKE = authority("Example Lower")
ALL = (LEAF, LOWER, UPPER, ROOT)


@pytest.mark.parametrize("given", list(itertools.permutations(ALL)))
def test_any_order_becomes_leaf_first_and_the_root_is_not_presented(
    given: tuple[x509.Certificate, ...],
) -> None:
    assert find_leaf(given) == LEAF
    chain = build_chain(LEAF, given)
    assert chain.presented == (LEAF, LOWER, UPPER)
    assert chain.root == ROOT
    assert (chain.unused, chain.missing_issuer) == ((), "")


def test_what_is_missing_is_taken_from_those_known() -> None:
    chain = build_chain(LEAF, [LOWER], [ROOT, STRANGER, UPPER])
    assert chain.presented == (LEAF, LOWER, UPPER)
    assert chain.root == ROOT


def test_a_missing_issuer_is_named() -> None:
    chain = build_chain(LEAF, [LOWER, ROOT])
    assert chain.presented == (LEAF, LOWER)
    assert chain.root is None
    assert chain.missing_issuer == "CN=Example Upper"
    assert chain.unused == (ROOT,)


def test_a_certificate_of_the_same_name_and_another_key_is_no_issuer() -> None:
    assert not is_issued_by(LEAF, NAMESAKE)
    chain = build_chain(LEAF, [NAMESAKE, LOWER, UPPER])
    assert chain.presented == (LEAF, LOWER, UPPER)
    assert chain.unused == (NAMESAKE,)


def test_a_certificate_that_is_known_both_as_root_and_cross_signed_ends_at_the_root() -> None:
    other_key, other = authority("Older Root")
    _, crossed = intermediate(other_key, other, "Example Root", key=ROOT_KEY)
    known_only = build_chain(LEAF, [LOWER, UPPER], [crossed, ROOT])
    assert known_only.presented == (LEAF, LOWER, UPPER)
    assert known_only.root == ROOT
    as_given = build_chain(LEAF, [LOWER, UPPER, crossed], [ROOT, other])
    assert as_given.presented == (LEAF, LOWER, UPPER, crossed)
    assert as_given.root == other


def test_two_that_issued_each_other_end() -> None:
    a_key, a = authority("A")
    b_key, b = authority("B")
    _, a_by_b = intermediate(b_key, b, "A", key=a_key)
    _, b_by_a = intermediate(a_key, a, "B", key=b_key)
    _, leaf = issued_by(a_key, a, "mail.example.test")
    chain = build_chain(leaf, [a_by_b, b_by_a])
    assert chain.presented == (leaf, a_by_b, b_by_a)
    assert chain.missing_issuer == "CN=A"


def test_a_self_signed_certificate_is_its_own_root() -> None:
    chain = build_chain(STRANGER, [ROOT])
    assert chain.presented == (STRANGER,)
    assert chain.root == STRANGER
    assert chain.unused == (ROOT,)


def test_kinds_of_certificates_are_told_apart() -> None:
    assert [is_authority(one) for one in (LEAF, LOWER, ROOT, STRANGER)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [is_self_signed(one) for one in (LEAF, LOWER, ROOT, STRANGER)] == [
        False, False, True, True,
    ]  # fmt: skip


def test_a_certificate_is_found_by_its_key() -> None:
    assert with_public_key(ALL, certificate_public_key_der(UPPER)) == UPPER
    assert with_public_key(ALL, certificate_public_key_der(STRANGER)) is None


def test_a_chain_of_authorities_has_its_lowest_as_leaf() -> None:
    assert find_leaf([UPPER, ROOT, LOWER]) == LOWER


def test_two_leaves_are_refused() -> None:
    _, other = issued_by(LOWER_KEY, LOWER, "other.example.test")
    with pytest.raises(KeystoreError, match=r"CN=mail.example.test; CN=other.example.test"):
        find_leaf([LEAF, other, LOWER])


def over_sha1(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate with a signature over SHA-1, as authorities made them once."""
    sha256, sha1 = (bytes.fromhex(f"2a864886f70d0101{end}") for end in ("0b", "05"))
    der = certificate_der(certificate).replace(sha256, sha1)
    signed = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    return x509.load_der_x509_certificate(der[: -len(signature)] + signature)


def test_a_root_that_signed_itself_over_sha_1_ends_a_chain() -> None:
    key = rsa.generate_private_key(65537, 2048)
    root = over_sha1(certificate_for(key, "Old Root"), key)
    assert is_self_signed(root)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(LEAF.subject)
        .issuer_name(root.subject)
        .public_key(LEAF_KEY.public_key())
        .serial_number(1)
        .not_valid_before(LEAF.not_valid_before_utc)
        .not_valid_after(LEAF.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    chain = build_chain(leaf, (), [root])
    assert (chain.presented, chain.root, chain.missing_issuer) == ((leaf,), root, "")
    forged = over_sha1(certificate_for(key, "Old Root"), rsa.generate_private_key(65537, 2048))
    assert not is_self_signed(forged)
    assert not is_issued_by(root, root), "only as a root is it taken"
