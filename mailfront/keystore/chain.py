"""From a heap of certificates to the chain that a server presents: leaf first, then its issuers.

Pure: certificates in, certificates out, no time and no trust decided here. A certificate's issuer
is the one that has its issuer's name and whose key made its signature (RFC 5280 section 6.1.3).
The root is found but not part of what is presented: whoever trusts it has it (RFC 8446 section
4.4.2). Raises `KeystoreError` if no certificate can be told to be the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailfront.errors import KeystoreError
from mailfront.keystore.formats import MAXIMUM_CHAIN, certificate_public_key_der, name_text


@dataclass(frozen=True, slots=True)
class Chain:
    """A leaf, its issuers below the root in order, and where they end.

    `root` is the self-signed certificate at the end, or None if no certificate of the last issuer
    was found. `unused` were given and are no part of the chain.
    """

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    root: x509.Certificate | None
    unused: tuple[x509.Certificate, ...]

    @property
    def presented(self) -> tuple[x509.Certificate, ...]:
        """What a server sends: the leaf and its issuers below the root."""
        return (self.leaf, *self.intermediates)

    @property
    def missing_issuer(self) -> str:
        """The name of the issuer whose certificate is missing, or an empty text."""
        return "" if self.root is not None else name_text(self.presented[-1].issuer)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` has the name of the certificate's issuer and made its signature."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether the certificate was signed with its own key."""
    return is_issued_by(certificate, certificate) or _is_old_root(certificate)


def _is_old_root(certificate: x509.Certificate) -> bool:
    """Whether the certificate was signed with its own RSA key over SHA-1, as many public roots are.

    The library refuses such signatures, rightly for all but roots: those are trusted because they
    are known, not for what they say of themselves.
    """
    if certificate.issuer != certificate.subject:
        return False
    try:
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey) or not _is_sha1(certificate):
            return False
        signed = certificate.tbs_certificate_bytes
        key.verify(certificate.signature, signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_sha1(certificate: x509.Certificate) -> bool:
    return certificate.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSA_WITH_SHA1


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether the certificate says that it is a CA (RFC 5280 section 4.2.1.9)."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.value.ca


def build_chain(
    leaf: x509.Certificate,
    given: Iterable[x509.Certificate] = (),
    known: Iterable[x509.Certificate] = (),
) -> Chain:
    """Return the chain of `leaf` out of what was `given` with it, in any order, and is `known`.

    What was given comes first, for the issuer chose it; of those known, a root is preferred.
    """
    rest = [certificate for certificate in dict.fromkeys(given) if certificate != leaf]
    sources = _by_subject(rest), _by_subject(known)
    presented = [leaf]
    root = leaf if is_self_signed(leaf) else None
    while root is None and len(presented) < MAXIMUM_CHAIN:
        issuer = _issuer(presented, sources)
        if issuer is None:
            break
        if is_self_signed(issuer):
            root = issuer
        else:
            presented.append(issuer)
    used = {*presented, root}
    unused = tuple(certificate for certificate in rest if certificate not in used)
    return Chain(leaf, tuple(presented[1:]), root, unused)


_Source = dict[x509.Name, list[x509.Certificate]]


def _by_subject(certificates: Iterable[x509.Certificate]) -> _Source:
    found: _Source = {}
    for certificate in certificates:
        found.setdefault(certificate.subject, []).append(certificate)
    return found


def _issuer(
    presented: Sequence[x509.Certificate], sources: tuple[_Source, _Source]
) -> x509.Certificate | None:
    last = presented[-1]
    given, known = (source.get(last.issuer, []) for source in sources)
    candidates = [*given, *sorted(known, key=lambda one: not is_self_signed(one))]
    for candidate in candidates:
        if candidate not in presented and is_issued_by(last, candidate):
            return candidate
    return None


def with_public_key(
    certificates: Iterable[x509.Certificate], public_key: bytes
) -> x509.Certificate | None:
    """Return the certificate of that key (SubjectPublicKeyInfo), or None."""
    for certificate in certificates:
        if _public_key(certificate) == public_key:
            return certificate
    return None


def _public_key(certificate: x509.Certificate) -> bytes:
    try:
        return certificate_public_key_der(certificate)
    except KeystoreError:
        return b""


def find_leaf(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """Return the one certificate that issued none of the others, CAs aside if there is another.

    Raises `KeystoreError` if there are several, or none.
    """
    if len(certificates) == 1:
        return certificates[0]
    ends = [one for one in certificates if not is_authority(one)] or list(certificates)
    if len(ends) > 1:
        issuers = {other.issuer for other in certificates if other.issuer != other.subject}
        ends = [one for one in ends if one.subject not in issuers]
    if len(ends) != 1:
        names = "; ".join(name_text(one.subject) for one in (ends or certificates)[:3])
        raise KeystoreError(
            f"several certificates, of which none stands at the end of the others' chain ({names})",
            remedy="give one server's certificate together with its issuers",
        )
    return ends[0]
