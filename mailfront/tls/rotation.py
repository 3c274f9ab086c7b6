"""Is a new certificate fit to take the place of the one in force? Proved before it is swapped in.

Renewed certificates come from people, other tools and ourselves, and any of them can be wrong: for
another host, without its intermediate, expired. A problem found here costs a log line; found by
clients it costs the service. Pure but for the handshake in memory.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.errors import KeystoreError
from mailfront.keystore.chain import build_chain
from mailfront.keystore.formats import certificate_der, certificate_public_key_der, name_text
from mailfront.keystore.host_names import patterns_for
from mailfront.keystore.key_strength import weakness
from mailfront.keystore.records import CertificateRecord
from mailfront.tls.openssl import Setting, apply

_MAXIMUM_FLIGHTS = 10


def prove(
    record: CertificateRecord,
    old: x509.Certificate | None,
    authorities: Iterable[x509.Certificate],
    now: datetime,
) -> None:
    """Raise `KeystoreError`, with the remedy, if `record` must not replace `old`.

    `old` is what the same nickname was until now; None where the operator chose another nickname,
    whose names may differ on purpose. An expired certificate is refused only in place of one that
    is still valid.
    """
    new = record.certificate
    name = repr(record.nickname)
    if now < new.not_valid_before_utc:
        raise KeystoreError(
            f"{name} is not valid before {new.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            remedy="check this machine's clock, or wait until then",
        )
    if now > new.not_valid_after_utc and (old is None or now <= old.not_valid_after_utc):
        raise KeystoreError(
            f"{name} expired on {new.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            remedy="install a certificate that is valid",
        )
    certificate_public_key_der(new)  # refuses a kind of key that nobody can use
    if not is_for_servers(new):
        raise KeystoreError(
            f"{name} was not made for servers (its extended key usage lacks serverAuth)",
            remedy="have one made for TLS servers",
        )
    if fault := weakness(new.public_key()):
        raise KeystoreError(f"{name}: {fault}", remedy="have one made with a new key")
    _prove_chain(record, authorities)
    if old is not None and (lost := lost_names(old, new)):
        raise KeystoreError(
            f"{name} is not for {', '.join(lost)}, for which the present certificate is",
            remedy="have one made for all names, or give it another nickname and configure that",
        )


def is_for_servers(certificate: x509.Certificate) -> bool:
    """Whether a server may present it, as far as it says (RFC 5280 section 4.2.1.12)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    wanted = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    return any(purpose in wanted for purpose in usage)


def _prove_chain(record: CertificateRecord, authorities: Iterable[x509.Certificate]) -> None:
    name = repr(record.nickname)
    chain = build_chain(record.certificate, record.chain, authorities)
    if chain.missing_issuer:
        raise KeystoreError(
            f"the chain of {name} is incomplete: the certificate of {chain.missing_issuer} is "
            "missing",
            remedy="install it together with its intermediates (fullchain.pem), or add the CA: "
            "msgcert add-cert -C NICKNAME FILE",
        )
    # Clients do not look into our database: what stands below the root must be presented.
    for issuer in chain.intermediates:
        if issuer not in record.chain:
            raise KeystoreError(
                f"the chain of {name} lacks the intermediate certificate of "
                f"{name_text(issuer.subject)}",
                remedy="install it together with its intermediates (fullchain.pem)",
            )


def lost_names(old: x509.Certificate, new: x509.Certificate) -> list[str]:
    """The host names and addresses of `old` for which `new` is no certificate (RFC 9525 6.3)."""
    names, addresses = _names(new)
    old_names, old_addresses = _names(old)
    lost = [name for name in old_names if not _covered(name, names)]
    return lost + [str(address) for address in old_addresses if address not in addresses]


def _names(certificate: x509.Certificate) -> tuple[list[str], list[object]]:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return [], []
    names = alternative.value.get_values_for_type(x509.DNSName)
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address | object] = [
        *alternative.value.get_values_for_type(x509.IPAddress)
    ]
    return [name.lower() for name in names], addresses


def _covered(name: str, names: Sequence[str]) -> bool:
    return any(pattern in names for pattern in patterns_for(name))


def prove_handshake(
    context: ssl.SSLContext, leaves: Iterable[x509.Certificate], *, algorithms: str = ""
) -> None:
    """Complete a handshake in memory; raise `KeystoreError` if it fails or shows another leaf.

    `algorithms` are the signature algorithms that the client offers, where not all of them.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Only whether the server can serve is asked here; `prove` judged the certificate.
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    if algorithms:
        apply(Setting.SIGNATURE_ALGORITHMS, client_context, algorithms)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        pending = [client, server]
        for _ in range(_MAXIMUM_FLIGHTS):
            pending = [side for side in pending if not _step(side)]
            if not pending:
                break
    except ssl.SSLError as failure:
        raise KeystoreError(
            f"a handshake with it fails: {failure.reason}",
            remedy="msgcert show-cert tells its key type; the TLS profile must allow it",
        ) from failure
    if pending or client.getpeercert(binary_form=True) not in set(map(certificate_der, leaves)):
        raise KeystoreError("a handshake in memory does not present it")


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
