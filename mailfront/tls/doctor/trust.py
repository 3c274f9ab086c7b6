"""Would clients believe the certificate? OpenSSL verifies it as they do, with chosen authorities.

Takes a function that opens a TLS connection under a context, and the authorities to trust beside
this machine's own; gives what OpenSSL said. The host name rules are those of RFC 9525.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509

from mailfront.keystore.chain import build_chain
from mailfront.keystore.formats import chain_pem
from mailfront.keystore.public_authorities import bundle_path
from mailfront.keystore.verification import covers

# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL.
_NAME_MISMATCHES = frozenset({62, 64})

Handshake = Callable[[ssl.SSLContext], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` is OpenSSL's sentence, empty if the chain is trusted."""

    trusted: bool
    problem: str
    name_matches: bool


def verify(
    handshake: Handshake,
    leaf: x509.Certificate,
    name: str,
    authorities: Sequence[x509.Certificate],
) -> Verdict:
    """Verify chain and name; raises what `handshake` raises for other reasons."""
    context = verifying_context(authorities)
    problem, code = _problem(handshake, context)
    if code in _NAME_MISMATCHES:
        context.check_hostname = False
        return Verdict(*_trusted(_problem(handshake, context)[0]), name_matches=False)
    if problem:
        # OpenSSL stopped before it looked at the name.
        return Verdict(*_trusted(problem), name_matches=covers(leaf, name))
    return Verdict(trusted=True, problem="", name_matches=True)


def missing_issuer(
    chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> str:
    """The issuer whose certificate neither the server presents nor `authorities` have."""
    return build_chain(chain[0], chain[1:], authorities).missing_issuer


def verifying_context(authorities: Sequence[x509.Certificate]) -> ssl.SSLContext:
    """A client's context with this machine's authorities and the given ones."""
    context = ssl.create_default_context(cafile=str(bundle_path()))
    if authorities:
        context.load_verify_locations(cadata=chain_pem(authorities).decode("ascii"))
    return context


def lenient_context() -> ssl.SSLContext:
    """A client's context that verifies nothing and speaks whatever OpenSSL can: it only looks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _problem(handshake: Handshake, context: ssl.SSLContext) -> tuple[str, int]:
    try:
        handshake(context)
    except ssl.SSLCertVerificationError as failure:
        return failure.verify_message or "not trusted", failure.verify_code
    return "", 0


def _trusted(problem: str) -> tuple[bool, str]:
    return not problem, problem
