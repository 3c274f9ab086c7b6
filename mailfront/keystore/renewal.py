"""Renewing a self-signed certificate: the same subject and names, new dates, a new serial number.

Takes the opened token and a nickname; the service that presents it never lacks a certificate, for
the new one takes the old one's place in one transaction. Raises `KeystoreError`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.keystore.chain import is_self_signed
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import CertificateRecord
from mailfront.keystore.requests import (
    CLOCK_SKEW,
    MAXIMUM_MONTHS,
    KeyKind,
    PrivateKey,
    months_later,
    self_signed_certificate,
)

_LONGEST = timedelta(days=MAXIMUM_MONTHS * 31)


def renew_self_signed(
    token: InternalToken,
    nickname: str,
    *,
    new_key: bool = False,
    months: int | None = None,
    now: datetime | None = None,
) -> CertificateRecord:
    """Put a renewed certificate in place of the present one and return it.

    It is valid for `months`, by default as long as the present one was. With `new_key` it gets a
    new key of the same kind. Raises `KeystoreError` if somebody else signed the present one, or
    its key is not in the database or of a kind that is not made here.
    """
    now = datetime.now(UTC) if now is None else now
    present = token.require(nickname)
    certificate = present.certificate
    if not is_self_signed(certificate):
        raise KeystoreError(
            f"the certificate {nickname!r} was signed by an authority, not by its own key",
            remedy="have the authority renew it and install its answer with `msgcert renew-cert`",
        )
    expires = expiry_like(certificate, now) if months is None else months_later(now, months)
    new = KeyKind.like(certificate.public_key()).generate() if new_key else None
    with token.change() as step:
        if step.find(nickname) != present:
            raise KeystoreError(
                f"the certificate {nickname!r} was changed by somebody else at this moment",
                remedy="look at it with `msgcert show-cert` and try again",
            )
        key = new or _usable(step.private_key(nickname), present)
        renewed = self_signed_certificate(
            key, certificate.subject, alternative_names_in(certificate), now=now, expires=expires
        )
        return step.replace(nickname, [renewed], key)


def expiry_like(certificate: x509.Certificate, now: datetime) -> datetime:
    """Return when a certificate made now ends that lives as long as the given one."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return now - CLOCK_SKEW + min(lifetime, _LONGEST)


def _usable(key: PrivateKeyTypes | None, present: CertificateRecord) -> PrivateKey:
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return key
    if key is None:
        where = "on a PKCS#11 token" if present.key_on_other_token else "not here"
        raise KeystoreError(
            f"the private key of the certificate {present.nickname!r} is {where}",
            remedy="it is renewed where its key is",
        )
    raise KeystoreError(
        f"certificates are not made here for keys of this kind ({present.key_description})",
        remedy="renew it with --new-key",
    )


def alternative_names_in(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """Return the alternative names of a certificate. Raises `KeystoreError` if malformed."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except ValueError as error:
        raise KeystoreError("the extensions of the present certificate are malformed") from error
    return tuple(found.value)
