"""Questions about certificates, and which answers count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import OcspError
from mailfront.keystore.ocsp import (
    MAXIMUM_RESPONSE,
    OcspAnswer,
    Revocation,
    build_request,
    fingerprint_of,
    judge_response,
    must_staple,
    responder_urls,
)
from tests.support.keystores import intermediate
from tests.support.ocsp import HOUR, RESPONDER, OcspAuthority, SigningKey, declining

AUTHORITY = OcspAuthority()
KEY, LEAF = AUTHORITY.issue("mail.example.test")
NOW = datetime.now(UTC)
GOOD = AUTHORITY.response(LEAF)


def judge(der: bytes, now: datetime = NOW) -> OcspAnswer:
    return judge_response(der, LEAF, AUTHORITY.certificate, now)


def refusal(der: bytes, now: datetime = NOW) -> str:
    with pytest.raises(OcspError) as refused:
        judge(der, now)
    return refused.value.what


def test_a_request_names_the_certificate_by_issuer_and_serial_number() -> None:
    request = ocsp.load_der_ocsp_request(build_request(LEAF, AUTHORITY.certificate))
    assert request.serial_number == LEAF.serial_number
    assert isinstance(request.hash_algorithm, hashes.SHA1)
    assert len(request.extensions) == 0


def test_a_good_answer_tells_its_times() -> None:
    answer = judge(GOOD)
    assert answer.revocation is Revocation.GOOD
    assert answer.next_update - answer.this_update == HOUR
    assert answer.der == GOOD
    assert answer.revoked_at is None


def test_a_revoked_answer_tells_since_when_and_why() -> None:
    answer = judge(AUTHORITY.response(LEAF, ocsp.OCSPCertStatus.REVOKED))
    assert answer.revocation is Revocation.REVOKED
    assert answer.revoked_at == answer.this_update
    assert answer.reason == "keyCompromise"


def test_an_unknown_certificate_is_an_answer_too() -> None:
    answer = judge(AUTHORITY.response(LEAF, ocsp.OCSPCertStatus.UNKNOWN))
    assert answer.revocation is Revocation.UNKNOWN


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA", "P-384", "Ed25519"],
)
def test_issuers_sign_with_keys_of_every_kind(key: SigningKey) -> None:
    authority = OcspAuthority(key=key)
    _, leaf = authority.issue("mail.example.test")
    answer = judge_response(authority.response(leaf), leaf, authority.certificate, NOW)
    assert answer.revocation is Revocation.GOOD


def test_certificates_are_known_by_sha256_too() -> None:
    assert judge(AUTHORITY.response(LEAF, digest=hashes.SHA256())).revocation is Revocation.GOOD


def test_a_responder_is_known_by_its_key_too() -> None:
    by_key = ocsp.OCSPResponderEncoding.HASH
    assert judge(AUTHORITY.response(LEAF, encoding=by_key)).revocation is Revocation.GOOD


def test_the_issuer_lets_another_one_answer() -> None:
    answer = judge(AUTHORITY.response(LEAF, signer=AUTHORITY.delegate()))
    assert answer.revocation is Revocation.GOOD


def test_a_delegate_without_the_usage_does_not_count() -> None:
    without = AUTHORITY.response(LEAF, signer=AUTHORITY.delegate(usage=None))
    assert "no extended key usage" in refusal(without)
    other = AUTHORITY.delegate(usage=ExtendedKeyUsageOID.SERVER_AUTH)
    assert "no id-kp-OCSPSigning" in refusal(AUTHORITY.response(LEAF, signer=other))


def test_a_server_of_the_same_issuer_cannot_answer_for_it() -> None:
    server = AUTHORITY.issue("other.example.test")
    assert "not authentic" in refusal(AUTHORITY.response(LEAF, signer=server))


def test_a_delegate_of_another_authority_does_not_count() -> None:
    other = OcspAuthority("Another CA").delegate()
    assert "not from the issuer" in refusal(AUTHORITY.response(LEAF, signer=other))


def test_a_delegate_whose_certificate_has_expired_does_not_count() -> None:
    late = NOW + timedelta(days=40)
    response = AUTHORITY.response(LEAF, signer=AUTHORITY.delegate(), begins=late)
    assert "not valid now" in refusal(response, late)


def test_a_signer_that_is_not_included_does_not_count() -> None:
    response = AUTHORITY.response(LEAF, signer=AUTHORITY.delegate(), included=())
    assert "neither the issuer nor included" in refusal(response)


def test_another_authority_of_the_same_name_cannot_answer() -> None:
    impostor = OcspAuthority()
    response = impostor.response(LEAF, issuer=AUTHORITY.certificate)
    assert "its signature is wrong" in refusal(response)


def test_a_wrong_signature_does_not_count() -> None:
    altered = GOOD[:-1] + bytes((GOOD[-1] ^ 1,))
    assert "its signature is wrong" in refusal(altered)


def test_an_answer_about_another_certificate_does_not_count() -> None:
    _, other = AUTHORITY.issue("other.example.test")
    assert "another certificate" in refusal(AUTHORITY.response(other))


def test_the_same_serial_number_of_another_issuer_does_not_count() -> None:
    other_key, _ = intermediate(AUTHORITY.key, AUTHORITY.certificate, "Other")  # type: ignore[arg-type]
    other = OcspAuthority(key=other_key)
    response = AUTHORITY.response(LEAF, issuer=other.certificate)
    assert "another certificate" in refusal(response)


def test_answers_of_yesterday_and_of_tomorrow_do_not_count() -> None:
    assert "was valid until" in refusal(GOOD, NOW + 2 * HOUR)
    assert "not valid before" in refusal(GOOD, NOW - HOUR)
    assert judge(GOOD, NOW - timedelta(minutes=4)), "clocks differ"


def test_an_answer_without_an_end_counts_for_an_hour() -> None:
    undated = AUTHORITY.response(LEAF, lasts=None)
    assert judge(undated).next_update - judge(undated).this_update == HOUR
    assert "was valid until" in refusal(undated, NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (ocsp.OCSPResponseStatus.TRY_LATER, "try later"),
        (ocsp.OCSPResponseStatus.UNAUTHORIZED, "unauthorized"),
        (ocsp.OCSPResponseStatus.INTERNAL_ERROR, "internal error"),
    ],
)
def test_a_responder_that_declines_says_so(status: ocsp.OCSPResponseStatus, text: str) -> None:
    assert refusal(declining(status)) == f"the responder declines: {text}"


@given(st.integers(0, len(GOOD) - 1))
def test_a_truncated_answer_is_refused(length: int) -> None:
    assert refusal(GOOD[:length])


@given(st.binary(min_size=1, max_size=20))
def test_octets_behind_the_answer_are_refused(more: bytes) -> None:
    assert refusal(GOOD + more)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_an_altered_answer_is_refused_or_says_the_same(at: int, change: int) -> None:
    altered = bytearray(GOOD)
    altered[at] ^= change
    try:
        answer = judge(bytes(altered))
    except OcspError:
        return
    # Only what nobody signed may differ, such as how an algorithm's parameters are spelled.
    assert (answer.revocation, answer.next_update) == (Revocation.GOOD, judge(GOOD).next_update)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(octets: bytes) -> None:
    assert refusal(octets)


def test_a_huge_answer_is_refused_unread() -> None:
    assert "too large" in refusal(b"\x30" * (MAXIMUM_RESPONSE + 1))


def test_the_responders_address_is_read_from_the_certificate() -> None:
    assert responder_urls(LEAF) == (RESPONDER,)
    assert responder_urls(AUTHORITY.certificate) == ()


@pytest.mark.parametrize("url", ["ldap://ocsp.example.test/", "file:///etc/passwd", "ocsp"])
def test_nothing_but_http_is_asked(url: str) -> None:
    assert responder_urls(AUTHORITY.issue("mail.example.test", url=url)[1]) == ()


def test_a_certificate_may_demand_a_staple() -> None:
    assert not must_staple(LEAF)
    assert must_staple(AUTHORITY.issue("mail.example.test", must_staple=True)[1])


def test_a_fingerprint_is_that_of_the_certificate() -> None:
    assert fingerprint_of(LEAF) == LEAF.fingerprint(hashes.SHA256())
    assert isinstance(LEAF, x509.Certificate)
