"""Channel binding: what ties a login to one TLS connection (RFC 5056), for SCRAM's PLUS.

Takes an established connection and the name of a kind; returns its octets. `tls-exporter` (RFC
9266) is keying material that only the two ends can know; `tls-server-end-point` (RFC 5929 section
4) is the digest of the certificate that was presented. Neither is given before TLS 1.3: there the
first is sound only with the extended master secret, and `ssl` does not say whether that was agreed.
"""

from __future__ import annotations

import ctypes  # noqa: TID251 - the certificate of a connection, behind the self-check of the bridge
import ssl
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from mailfront.tls.connection_bridge import (
    connection_library,
    connection_pointer,
    export_keying_material,
)

_EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
_EXPORTER_OCTETS = 32
_LARGEST_CERTIFICATE = 1024 * 1024

_presented: WeakKeyDictionary[ssl.SSLContext, tuple[x509.Certificate, ...]] = WeakKeyDictionary()


def note_certificates(context: ssl.SSLContext, certificates: Sequence[x509.Certificate]) -> None:
    """Remember, for as long as `context` lives, which certificates it presents one of."""
    _presented[context] = tuple(certificates)


def channel_binding(tls: ssl.SSLObject, kind: str) -> bytes | None:
    """Return the channel binding of `kind`, or None where there is none."""
    if tls.version() != "TLSv1.3":
        return None
    if kind == "tls-exporter":
        return export_keying_material(tls, _EXPORTER_LABEL, _EXPORTER_OCTETS, b"")
    if kind != "tls-server-end-point":
        return None
    certificate = _certificate(tls)
    return None if certificate is None else end_point_digest(certificate)


def end_point_digest(certificate: x509.Certificate) -> bytes | None:
    """Return the digest of a certificate by the hash of its signature, SHA-256 in place of MD5 and
    SHA-1; None where the signature has no one hash (Ed25519), as RFC 5929 leaves it undefined."""
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def _certificate(tls: ssl.SSLObject) -> x509.Certificate | None:
    """Return the certificate that the client was shown. A resumed handshake shows none, and means
    that of the first; with several it cannot be told which that was."""
    candidates = _presented.get(tls.context, ())
    if len(candidates) == 1:
        return candidates[0]
    der = None if tls.session_reused else _certificate_in_use(tls)
    found = [each for each in candidates if der is not None and _der(each) == der]
    return found[0] if found else None


def _certificate_in_use(tls: ssl.SSLObject) -> bytes | None:
    """Return what SSL_get_certificate(3) gives, in DER: in a server, what the handshake chose."""
    library, pointer = connection_library(), connection_pointer(tls)
    if isinstance(library, str) or pointer is None:
        return None
    get_certificate, encode = library.handle.SSL_get_certificate, library.handle.i2d_X509
    get_certificate.argtypes, get_certificate.restype = (ctypes.c_void_p,), ctypes.c_void_p
    encode.argtypes, encode.restype = (ctypes.c_void_p, ctypes.c_void_p), ctypes.c_int
    certificate = get_certificate(pointer)
    if certificate is None:
        return None
    size = encode(certificate, None)
    if not 0 < size <= _LARGEST_CERTIFICATE:
        return None
    octets = ctypes.create_string_buffer(size)
    # i2d moves the pointer that it is given.
    target = ctypes.c_void_p(ctypes.addressof(octets))
    return octets.raw if encode(certificate, ctypes.byref(target)) == size else None


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
