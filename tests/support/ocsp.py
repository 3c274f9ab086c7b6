"""Certificates with an OCSP responder's address, and responses about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from mailfront.keystore import requests

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
HOUR = timedelta(hours=1)
RESPONDER = "http://ocsp.example.test/"


class OcspAuthority:
    """A root CA that issues certificates and answers about them."""

    def __init__(self, name: str = "Example OCSP CA", key: SigningKey | None = None) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = requests.build_subject(name=name, country="")
        self.certificate = self._sign(
            self.name, self.key, x509.BasicConstraints(ca=True, path_length=None)
        )

    def issue(
        self,
        *names: str,
        key: SigningKey | None = None,
        url: str | None = RESPONDER,
        must_staple: bool = False,
    ) -> tuple[SigningKey, x509.Certificate]:
        """A server's key and certificate; with `url` the responder's address is in it."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        further: list[x509.ExtensionType] = [
            x509.SubjectAlternativeName([*map(requests.parse_alternative_name, names)])
        ]
        if url is not None:
            location = x509.UniformResourceIdentifier(url)
            further.append(
                x509.AuthorityInformationAccess(
                    [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)]
                )
            )
        if must_staple:
            further.append(x509.TLSFeature([x509.TLSFeatureType.status_request]))
        subject = requests.build_subject(name=names[0], country="")
        return key, self._sign(subject, key, *further)

    def delegate(
        self, *, usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.OCSP_SIGNING
    ) -> tuple[SigningKey, x509.Certificate]:
        """The key and certificate of one who may answer, if `usage` is what it takes."""
        key = ec.generate_private_key(ec.SECP256R1())
        further = [] if usage is None else [x509.ExtendedKeyUsage([usage])]
        subject = requests.build_subject(name="Example Responder", country="")
        return key, self._sign(subject, key, *further)

    def response(
        self,
        certificate: x509.Certificate,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        *,
        issuer: x509.Certificate | None = None,
        begins: datetime | None = None,
        lasts: timedelta | None = HOUR,
        signer: tuple[SigningKey, x509.Certificate] | None = None,
        included: Sequence[x509.Certificate] | None = None,
        encoding: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.NAME,
        digest: hashes.HashAlgorithm | None = None,
    ) -> bytes:
        """A response about `certificate`, from `begins` (default: a moment ago); without `lasts`
        it does not say how long. `signer` is a delegate."""
        begins = (begins or datetime.now(UTC) - timedelta(minutes=1)).replace(microsecond=0)
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        key, responder = signer or (self.key, self.certificate)
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate,
            issuer=issuer or self.certificate,
            algorithm=digest or hashes.SHA1(),
            cert_status=status,
            this_update=begins,
            next_update=None if lasts is None else begins + lasts,
            revocation_time=begins if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        builder = builder.responder_id(encoding, responder)
        included = included if included is not None else ([responder] if signer else [])
        if included:
            builder = builder.certificates(included)
        algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(key, algorithm).public_bytes(Encoding.DER)

    def _sign(
        self, subject: x509.Name, key: SigningKey, *further: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - HOUR)
            .not_valid_after(now + timedelta(days=30))
        )
        for extension in further:
            builder = builder.add_extension(extension, critical=False)
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm)


def declining(status: ocsp.OCSPResponseStatus) -> bytes:
    """A response that says nothing but that there is none, such as `tryLater`."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
