"""Signing on the token: requests and certificates that any verifier takes."""

from __future__ import annotations

import copy
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType, MechanismFlag

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore import requests
from mailfront.keystore.formats import certificate_pem, public_key_der
from mailfront.keystore.pkcs11.generation import generate_key_pair
from mailfront.keystore.pkcs11.objects import find_private_key, read_contents
from mailfront.keystore.pkcs11.signing import SigningKey, ecdsa_der, signing_key
from mailfront.keystore.requests import KeyKind
from tests.support.peers import require_program

KINDS = [
    KeyKind("rsa"),
    KeyKind("rsa", size=3072),
    KeyKind("ec"),
    KeyKind("ec", curve="P-384"),
]
SUBJECT = requests.build_subject(name="mail.example.test", country="")
NAMES = requests.default_alternative_names(SUBJECT)


def new_key(session: pkcs11.Session, kind: KeyKind, nickname: str = "imap") -> SigningKey:
    return signing_key(session, generate_key_pair(session, nickname, kind))


def openssl(*arguments: str) -> str:
    program = str(require_program("openssl"))
    finished = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_request_is_signed_by_the_key_on_the_token(
    session: pkcs11.Session, kind: KeyKind, tmp_path: Path
) -> None:
    request = requests.certificate_request(new_key(session, kind), SUBJECT, NAMES)
    assert request.is_signature_valid
    file = tmp_path / "request.pem"
    file.write_bytes(request.public_bytes(serialization.Encoding.PEM))
    assert "verify OK" in openssl("req", "-verify", "-noout", "-in", str(file))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_self_signed_certificate_verifies(
    session: pkcs11.Session, kind: KeyKind, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    certificate = requests.self_signed_certificate(
        new_key(session, kind), SUBJECT, NAMES, now=now, expires=now + timedelta(days=90)
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(certificate_pem(certificate))
    assert "OK" in openssl("verify", "-CAfile", str(file), str(file))


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_every_digest_of_requests_is_signed_right(
    session: pkcs11.Session, algorithm: hashes.HashAlgorithm
) -> None:
    rsa_key = new_key(session, KeyKind("rsa"))
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    signature = rsa_key.sign(b"data", padding.PKCS1v15(), algorithm)
    rsa_key.public_key().verify(signature, b"data", padding.PKCS1v15(), algorithm)
    ec_key = new_key(session, KeyKind("ec"), "ec")
    assert isinstance(ec_key, ec.EllipticCurvePrivateKey)
    signature = ec_key.sign(b"data", ec.ECDSA(algorithm))
    ec_key.public_key().verify(signature, b"data", ec.ECDSA(algorithm))


@given(st.integers(1, 2**384 - 1), st.integers(1, 2**384 - 1))
def test_the_two_numbers_of_a_signature_become_der(first: int, second: int) -> None:
    der = ecdsa_der(first.to_bytes(48) + second.to_bytes(48))
    assert utils.decode_dss_signature(der) == (first, second)


@given(st.binary(max_size=200))
def test_any_octets_become_der_or_are_refused(signature: bytes) -> None:
    if len(signature) % 2 or not signature:
        with pytest.raises(TokenError, match="octets"):
            ecdsa_der(signature)
    else:
        assert len(utils.decode_dss_signature(ecdsa_der(signature))) == 2


def test_nothing_but_the_signature_comes_out(session: pkcs11.Session) -> None:
    rsa_key = new_key(session, KeyKind("rsa"))
    ec_key = new_key(session, KeyKind("ec"), "ec")
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    assert isinstance(ec_key, ec.EllipticCurvePrivateKey)
    plain = (
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for refused in (
        lambda: rsa_key.private_bytes(*plain),
        lambda: ec_key.private_bytes(*plain),
        rsa_key.private_numbers,
        ec_key.private_numbers,
        lambda: rsa_key.decrypt(b"", padding.PKCS1v15()),
        lambda: ec_key.exchange(ec.ECDH(), ec_key.public_key()),
    ):
        with pytest.raises(KeystoreError, match="cannot leave"):
            refused()
    assert copy.copy(rsa_key) is copy.deepcopy(rsa_key) is rsa_key
    assert copy.copy(ec_key) is copy.deepcopy(ec_key) is ec_key
    assert (rsa_key.key_size, ec_key.key_size, ec_key.curve.name) == (2048, 256, "secp256r1")


def test_other_ways_of_signing_are_refused(session: pkcs11.Session) -> None:
    rsa_key = new_key(session, KeyKind("rsa"))
    ec_key = new_key(session, KeyKind("ec"), "ec")
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    assert isinstance(ec_key, ec.EllipticCurvePrivateKey)
    with pytest.raises(KeystoreError, match="PKCS#1"):
        rsa_key.sign(b"", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    with pytest.raises(KeystoreError, match="SHA-2"):
        ec_key.sign(b"", ec.ECDSA(hashes.SHA1()))


def test_a_key_that_may_not_sign_is_refused(session: pkcs11.Session) -> None:
    session.generate_keypair(
        KeyType.RSA,
        2048,
        label="decrypts",
        id=b"\1",
        store=True,
        capabilities=MechanismFlag.DECRYPT | MechanismFlag.ENCRYPT,
        private_template={Attribute.SIGN: False},
    )
    (key,) = read_contents(session).keys
    with pytest.raises(TokenError, match="may not sign"):
        signing_key(session, key)
    assert key.public_key is not None
    assert find_private_key(session, public_key_der(key.public_key)) == key
