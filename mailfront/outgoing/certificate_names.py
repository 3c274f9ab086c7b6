"""Is a server's certificate for one of the names that its client may accept?

RFC 9525: alternative names alone, `*` for one left-most label. A name that begins with a dot stands
for all below it, as in Postfix's policy maps; an address literal for an iPAddress.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mailfront.keystore.host_names import patterns_for
from mailfront.outgoing.mail_exchangers import address_literal
from mailfront.tls.certificate_names import names_of

# What `cryptography` raises of certificates that it cannot read.
# The last four are plain Exceptions.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def fits_a_name(leaf: bytes, wanted: Sequence[str]) -> bool:
    """Whether the certificate (DER) is for one of `wanted`, in lower-case A-labels."""
    try:
        certificate = x509.load_der_x509_certificate(leaf)
        presented = names_of(certificate)
        addresses = _addresses(certificate)
    except UNREADABLE:
        return False
    return any(_fits(name, presented, addresses) for name in wanted)


def _fits(name: str, presented: frozenset[str], addresses: frozenset[str]) -> bool:
    if literal := address_literal(name):
        return literal in addresses
    if name.startswith("."):
        return any(each.endswith(name) and len(each) > len(name) for each in presented)
    return any(pattern in presented for pattern in patterns_for(name))


def _addresses(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    values = found.value.get_values_for_type(x509.IPAddress)
    hosts = (ipaddress.IPv4Address, ipaddress.IPv6Address)
    return frozenset(str(value) for value in values if isinstance(value, hosts))
