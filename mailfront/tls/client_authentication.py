"""Asking clients for a certificate, and what is made of the one that they present.

A port has one `ClientAuthentication`; it says for each handshake whether the client is asked, which
CAs the request names (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4), and whether a certificate
that identifies nobody ends the handshake with the alert that fits (RFC 8446 section 6.2) or only
identifies nobody. A context serves several ports, so all of it is set on the connection.

A resumed session keeps the client's certificate in its ticket, and we put the rest of the chain
beside it: all is judged again, and a ticket that would carry somebody past what is asked for today
is not taken, which leads to a full handshake. The judgement is `tls.client_verification`'s.
"""

from __future__ import annotations

import logging
import ssl
import struct
from collections.abc import Callable
from enum import Enum
from weakref import WeakValueDictionary

from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.tls import certificate_bridge as bridge
from mailfront.tls import connection_bridge, openssl
from mailfront.tls.client_verification import ClientTrust
from mailfront.tls.describe import MailSslObject

_log = logging.getLogger("mailfront.tls")

# A ticket holds no longer chain than this; who presents one makes a full handshake each time.
_LONGEST_NOTE = 4096
_NOTE_VERSION = b"\x01"


class Asking(Enum):
    """Whether clients are asked for a certificate; the value is that of the options."""

    OFF = "off"
    REQUEST = "request"
    REQUIRE = "require"


# Fault: the result of verification that makes OpenSSL send the alert for it.
RESULTS = {
    CertificateFault.NONE: 0,
    CertificateFault.NOT_YET_VALID: 9,  # bad_certificate
    CertificateFault.EXPIRED: 10,  # certificate_expired
    CertificateFault.UNTRUSTED: 20,  # unknown_ca
    CertificateFault.REVOKED: 23,  # certificate_revoked
    CertificateFault.WRONG_USE: 26,  # unsupported_certificate
    CertificateFault.MALFORMED: 28,  # bad_certificate
    CertificateFault.REVOCATION_UNKNOWN: 75,  # certificate_unknown
}


class CertificateRequest:
    """What one connection's client is asked, and what came of it."""

    __slots__ = ("__weakref__", "_from_client", "_from_ticket", "_trust", "refuses", "requires")

    def __init__(self, trust: ClientTrust, *, requires: bool, refuses: bool) -> None:
        self._trust = trust
        self.requires = requires
        self.refuses = refuses
        self._from_client: ClientCertificate | None = None
        self._from_ticket: ClientCertificate | None = None

    @property
    def authorities_digest(self) -> bytes:
        """What differs when clients are asked for certificates of other CAs."""
        return self._trust.digest

    def judge(self, presented: tuple[bytes, ...]) -> ClientCertificate:
        """Judge what the client presents, leaf first."""
        certificate = self._from_client = self._trust.judge(presented[0], presented[1:])
        return certificate

    def judge_ticket(self, presented: tuple[bytes, ...]) -> ClientCertificate:
        """Judge what the client had presented when it got the ticket that it shows."""
        certificate = self._from_ticket = self._trust.judge(presented[0], presented[1:])
        return certificate

    def refused(self) -> ClientCertificate | None:
        """The certificate for whose fault the handshake failed, if it failed for that."""
        certificate = self._from_client
        refused = certificate is not None and self.refuses and not certificate.verified
        return certificate if refused else None

    def presented(self, tls: ssl.SSLObject) -> ClientCertificate | None:
        """What the client of the finished handshake presented; None if it presented nothing."""
        certificate = self._from_ticket if tls.session_reused else self._from_client
        if certificate is None or tls.getpeercert(binary_form=True) != certificate.leaf:
            return None
        return certificate


# The requests under way, by the address of their `SSL *`.
_requests: WeakValueDictionary[int, CertificateRequest] = WeakValueDictionary()


class ClientAuthentication:
    """One port's way with client certificates; may be told otherwise at any time.

    `takes_any` tells whether certificates that no CA vouches for may mean something at present,
    because keys are enrolled in the directory: then a request that refuses nobody is made without
    any trusted CA too, and names none, or clients would not offer theirs.
    """

    def __init__(self) -> None:
        self.takes_any: Callable[[], bool] = bool
        # One object, so that one assignment changes all of it at once.
        self._state: tuple[Asking, ClientTrust | None, bool] = (Asking.OFF, None, False)

    def follow(self, asking: Asking, trust: ClientTrust | None, *, refuses: bool) -> None:
        """From now on ask so, for certificates of the CAs of `trust`; where it has none, clients
        are asked only if a certificate is required. `refuses`: a certificate with a fault ends
        the handshake."""
        self._state = asking, trust, refuses

    @property
    def asking(self) -> Asking:
        """Whether clients are to be asked."""
        return self._state[0]

    @property
    def authorities(self) -> tuple[str, ...]:
        """The names of the CAs whose certificates are asked for; none if nobody is asked."""
        asking, trust, _ = self._state
        return trust.subjects if trust is not None and asking is not Asking.OFF else ()

    @property
    def description(self) -> str:
        """What clients are asked for, for people; empty if they are not asked."""
        if self._asks_for_any():
            return "request: any certificate"
        names = "; ".join(self.authorities)
        if self.asking is Asking.REQUIRE:
            return f"require: {names or 'no CA is trusted for clients'}"
        return f"request: {names}" if names else ""

    def ask(self, tls: ssl.SSLObject) -> None:
        """Ask the client of a handshake that has not begun, if it is to be asked. Raises
        `ssl.SSLError` if a certificate is required and cannot be asked for."""
        asking, trust, refuses = self._state
        requires, for_any = asking is Asking.REQUIRE, self._asks_for_any()
        is_of_use = requires or for_any or (trust is not None and bool(trust.subjects))
        if asking is Asking.OFF or not is_of_use:
            return
        pointer = connection_bridge.connection_pointer(tls)
        if pointer is None or trust is None or not isinstance(tls, MailSslObject):
            if requires:
                failure = ssl.SSLError("client certificates cannot be asked for")
                failure.reason = "CLIENT_CERTIFICATE_CANNOT_BE_ASKED_FOR"
                raise failure
            return
        request = CertificateRequest(trust, requires=requires, refuses=requires or refuses)
        bridge.ask(pointer, require=requires)
        if not for_any:
            trust.list_names(pointer)
        _requests[pointer] = tls.certificate_request = request

    def _asks_for_any(self) -> bool:
        asking, _, refuses = self._state
        return asking is Asking.REQUEST and not refuses and self.takes_any()


def refused_certificate(tls: object) -> ClientCertificate | None:
    """The certificate for whose fault a handshake failed, if it failed for that."""
    request = tls.certificate_request if isinstance(tls, MailSslObject) else None
    return request.refused() if isinstance(request, CertificateRequest) else None


def prepare(context: ssl.SSLContext) -> None:
    """Let a new context serve ports that ask for certificates; does nothing where that is
    impossible (`certificate_bridge.problem`)."""
    pointer = openssl.context_pointer(context)
    if pointer is not None and not bridge.problem():
        bridge.set_callbacks(pointer, _verify_callback, _generate_callback, _decrypt_callback)


def _verify(judging: int, _argument: int | None) -> int:
    """OpenSSL asks whether the handshake goes on with this certificate."""
    try:
        connection = bridge.connection_of(judging)
        request = _requests.get(connection) if connection is not None else None
        presented = bridge.presented_to(judging)
        if request is None or not presented:
            bridge.set_result(judging, RESULTS[CertificateFault.MALFORMED])
            return 0
        certificate = request.judge(presented)
        bridge.set_result(judging, RESULTS[certificate.fault])
    except Exception:
        # Nothing may leave through OpenSSL, and what was not judged identifies nobody.
        _log.exception("a client certificate could not be judged")
        return 0
    return 1 if certificate.verified or not request.refuses else 0


def _generate(connection: int, _argument: int | None) -> int:
    """OpenSSL is about to seal a ticket: note what was asked, and the chain."""
    try:
        request = _requests.get(connection)
        if request is None:
            return 1
        session = bridge.session_of(connection)
        if session is None or bridge.is_resumed(connection):
            return 1
        note = _note(request, bridge.peer_chain(connection))
        if len(note) <= _LONGEST_NOTE:
            bridge.note_in_session(session, note)
    except Exception:
        _log.exception("a session ticket could not be annotated")
    return 1


def _decrypt(
    connection: int, session: int | None, _name: int, _length: int, status: int, _argument: int
) -> int:
    """OpenSSL has opened a ticket: may it be resumed?"""
    if status not in (bridge.TICKET_SUCCESS, bridge.TICKET_SUCCESS_RENEW) or session is None:
        return bridge.TICKET_IGNORE_RENEW
    try:
        request = _requests.get(connection)
        if request is not None and not _may_resume(request, session):
            return bridge.TICKET_IGNORE_RENEW
    except Exception:
        _log.exception("a session ticket could not be judged")
        return bridge.TICKET_IGNORE_RENEW
    return bridge.TICKET_USE if status == bridge.TICKET_SUCCESS else bridge.TICKET_USE_RENEW


def _may_resume(request: CertificateRequest, session: int) -> bool:
    note = bridge.note_of_session(session)
    beginning = _NOTE_VERSION + request.authorities_digest
    if not note.startswith(beginning):
        # Asked for certificates of other CAs, or not at all, or with too long a chain.
        return False
    leaf = bridge.session_peer(session)
    if leaf is None:
        return not request.requires
    certificate = request.judge_ticket((leaf, *_chain_of(note[len(beginning) :])))
    return certificate.verified or not request.refuses


def _note(request: CertificateRequest, chain: tuple[bytes, ...]) -> bytes:
    framed = b"".join(struct.pack(">H", len(der)) + der for der in chain if len(der) < 1 << 16)
    return _NOTE_VERSION + request.authorities_digest + framed


def _chain_of(framed: bytes) -> tuple[bytes, ...]:
    chain, at = [], 0
    while at < len(framed):
        begin = at + 2
        at = begin + int.from_bytes(framed[at:begin])
        chain.append(framed[begin:at])
    return tuple(chain)


_verify_callback = bridge.VerifyCallback(_verify)
_generate_callback = bridge.GenerateCallback(_generate)
_decrypt_callback = bridge.DecryptCallback(_decrypt)
