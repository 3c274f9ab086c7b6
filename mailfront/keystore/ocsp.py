"""OCSP (RFC 6960) without a network: the question about a certificate, and the judging of answers.

Takes a certificate, its issuer and the present, gives the octets of a request or what a response
says. A response counts only if the issuer signed it, or a responder to whom the issuer itself gave
a certificate with id-kp-OCSPSigning (section 4.2.2.2). Such a responder's own certificate is not
asked about. Raises `OcspError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from mailfront.errors import OcspError
from mailfront.keystore.chain import is_issued_by
from mailfront.keystore.formats import certificate_der

# A response has one to three KiB, or some more with a delegated responder's certificate.
MAXIMUM_RESPONSE = 64 * 1024
_MAXIMUM_RESPONDERS = 8
_MAXIMUM_SINGLES = 64
# How far a responder's clock may be ahead of ours.
SKEW = timedelta(minutes=5)
# A response without nextUpdate says that newer ones can be had at all times (section 4.2.2.1).
UNDATED_VALIDITY = timedelta(hours=1)
_SIGNATURE_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Revocation(Enum):
    """What an issuer says of a certificate (section 2.2)."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """An authentic response: what it says, from when to when that counts, and its octets.

    `revoked_at` and `reason` are given for a revoked certificate alone.
    """

    revocation: Revocation
    this_update: datetime
    next_update: datetime
    der: bytes
    revoked_at: datetime | None = None
    reason: str = ""


def responder_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where the issuer answers questions about a certificate: http and https alone."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    locations = (
        each.access_location.value
        for each in access.value
        if each.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )
    return tuple(url for url in locations if url.lower().startswith(("http://", "https://")))


def must_staple(certificate: x509.Certificate) -> bool:
    """Whether clients are told to refuse the certificate without a response (RFC 7633)."""
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return x509.TLSFeatureType.status_request in features.value


def build_request(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """The question about one certificate, without a nonce, so that answers made in advance fit.

    Responders know certificates by SHA-1 (RFC 5019 section 2.1.1); nothing is proved by it.
    Raises `OcspError`.
    """
    request = _question(certificate, issuer, hashes.SHA1())  # noqa: S303
    return request.public_bytes(serialization.Encoding.DER)


def judge_response(
    der: bytes, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> OcspAnswer:
    """What an authentic and current response says of `certificate`. Raises `OcspError`."""
    if len(der) > MAXIMUM_RESPONSE:
        raise OcspError(f"a response of {len(der)} octets is too large")
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            status = response.response_status.name.lower().replace("_", " ")
            raise OcspError(f"the responder declines: {status}")
        single = _single(response, certificate, issuer)
        this_update, next_update = _validity(single, now)
        _verify(response, issuer, now)
        revocation = Revocation[single.certificate_status.name]
        return OcspAnswer(
            revocation,
            this_update,
            next_update,
            der,
            revoked_at=single.revocation_time_utc,
            reason=single.revocation_reason.value if single.revocation_reason else "",
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as failure:
        raise OcspError(f"the response is malformed ({failure})") from failure


def _question(
    certificate: x509.Certificate, issuer: x509.Certificate, algorithm: hashes.HashAlgorithm
) -> ocsp.OCSPRequest:
    try:
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm)
        return builder.build()
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise OcspError(f"nobody can be asked about this certificate ({failure})") from failure


def _single(
    response: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> ocsp.OCSPSingleResponse:
    """The part about `certificate`: its serial number, its issuer's name and key."""
    for number, single in enumerate(response.responses):
        if number == _MAXIMUM_SINGLES:
            break
        if single.serial_number != certificate.serial_number:
            continue
        asked = _question(certificate, issuer, single.hash_algorithm)
        if (single.issuer_name_hash, single.issuer_key_hash) == (
            asked.issuer_name_hash,
            asked.issuer_key_hash,
        ):
            return single
    raise OcspError("the response is about another certificate")


def _validity(single: ocsp.OCSPSingleResponse, now: datetime) -> tuple[datetime, datetime]:
    begin = single.this_update_utc
    end = single.next_update_utc or begin + UNDATED_VALIDITY
    if begin > now + SKEW:
        raise OcspError(f"the response is not valid before {begin:%Y-%m-%d %H:%M} UTC")
    if end <= now or end <= begin:
        raise OcspError(f"the response was valid until {end:%Y-%m-%d %H:%M} UTC")
    return begin, end


def _verify(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    faults = []
    for signer in _signers(response, issuer):
        if signer != issuer and (fault := _delegation_fault(signer, issuer, now)):
            faults.append(fault)
        elif not _is_signed_by(response, signer):
            faults.append("its signature is wrong")
        else:
            return
    reason = faults[0] if faults else "its signer is neither the issuer nor included"
    raise OcspError(f"the response is not authentic: {reason}")


def _signers(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> Iterator[x509.Certificate]:
    """The certificates that fit the responder's name or key (section 4.2.1, ResponderID)."""
    for candidate in (issuer, *response.certificates[:_MAXIMUM_RESPONDERS]):
        if response.responder_key_hash is not None:
            key = x509.SubjectKeyIdentifier.from_public_key(candidate.public_key()).digest
            fits = key == response.responder_key_hash
        else:
            fits = candidate.subject == response.responder_name
        if fits:
            yield candidate


def _delegation_fault(signer: x509.Certificate, issuer: x509.Certificate, now: datetime) -> str:
    """Why the issuer does not let `signer` answer for it (section 4.2.2.2); empty if it does."""
    if not is_issued_by(signer, issuer):
        return "its signer's certificate is not from the issuer"
    if not signer.not_valid_before_utc <= now <= signer.not_valid_after_utc:
        return "its signer's certificate is not valid now"
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return "its signer may not sign responses (no extended key usage)"
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage.value:
        return "its signer may not sign responses (no id-kp-OCSPSigning)"
    try:
        bits = signer.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        return ""
    return "" if bits.value.digital_signature else "its signer's key is not for signatures"


def _is_signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    if algorithm is not None and not isinstance(algorithm, _SIGNATURE_HASHES):
        raise OcspError(f"the response is signed over {algorithm.name}, which clients refuse")
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def fingerprint_of(certificate: x509.Certificate) -> bytes:
    """The SHA-256 digest by which responses are kept."""
    return hashlib.sha256(certificate_der(certificate)).digest()
