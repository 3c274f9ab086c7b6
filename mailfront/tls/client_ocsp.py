"""Has the CA revoked a client's certificate meanwhile? Its OCSP responder is asked at login.

Takes a `ClientCertificate` that the handshake verified, gives it back, or with a fault. A handshake
cannot wait for a responder, a login can: once per certificate, for a bounded time; answers are kept
as long as they say, but an hour at most, failures for a minute. Only the client's own certificate
is asked about, and only where it names a responder (RFC 6960 section 3.1): others have nothing but
their CA's revocation list. The certificate that names the address was signed by a CA that we trust,
so nobody else makes us connect anywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from cryptography import x509

from mailfront.errors import OcspError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.tasks import start_task
from mailfront.keystore.ocsp import (
    Revocation,
    build_request,
    fingerprint_of,
    judge_response,
    responder_urls,
)
from mailfront.tls.client_verification import ClientTrust

_log = logging.getLogger("mailfront.tls")

MAXIMUM_ANSWERS = 4096
_LONGEST_KEPT = timedelta(hours=1)
_FAILURE_KEPT = timedelta(minutes=1)
_AT_ONCE = 16
_MOST_RESPONDERS = 2

# `tls.ocsp_fetch.fetch_response`: address, request, seconds.
Fetch = Callable[[str, bytes, float], Awaitable[bytes]]


class OcspUse(Enum):
    """Whether responders are asked, and what becomes of a certificate about which none answers;
    the value is that of the option."""

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known of a certificate until then; `revocation` None: no responder answered, and
    `detail` says why."""

    revocation: Revocation | None
    until: datetime
    detail: str = ""


class ClientOcsp:
    """Asks responders about clients' certificates. `follow` may be called in any thread, the rest
    belongs to the event loop."""

    def __init__(
        self, fetch: Fetch, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        # One object, so that one assignment changes all of it at once.
        self._state: tuple[OcspUse, ClientTrust | None, float] = (OcspUse.OFF, None, 0.0)
        self._answers: dict[bytes, _Answer] = {}
        self._asking: dict[bytes, asyncio.Task[_Answer]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def follow(self, use: OcspUse, trust: ClientTrust | None, seconds: float) -> None:
        """From now on ask so, each responder for so many seconds."""
        self._state = use, trust, seconds

    async def confirm(self, certificate: ClientCertificate) -> ClientCertificate:
        """Return the certificate, with a fault if its CA has revoked it or, where that is hard,
        cannot be asked. One that has a fault already stays as it is."""
        use, trust, _ = self._state
        if use is OcspUse.OFF or trust is None or not certificate.verified:
            return certificate
        leaf = x509.load_der_x509_certificate(certificate.leaf)
        urls = responder_urls(leaf)[:_MOST_RESPONDERS]
        if not urls:
            return certificate
        issuer = trust.issuer_of(certificate)
        if issuer is None:
            return replace(certificate, fault=CertificateFault.UNTRUSTED)
        answer = await self._answer(leaf, issuer, urls)
        if answer.revocation is Revocation.GOOD:
            return certificate
        if answer.revocation is Revocation.REVOKED:
            return replace(certificate, fault=CertificateFault.REVOKED, detail=answer.detail)
        if answer.revocation is None and use is OcspUse.SOFT:
            return certificate
        fault = CertificateFault.REVOCATION_UNKNOWN
        return replace(certificate, fault=fault, detail=answer.detail)

    async def _answer(
        self, leaf: x509.Certificate, issuer: x509.Certificate, urls: tuple[str, ...]
    ) -> _Answer:
        key = fingerprint_of(leaf)
        known = self._answers.get(key)
        if known is not None and self._clock() < known.until:
            return known
        # Several connections of one client have one question. Who leaves does not end it.
        asking = self._asking.get(key)
        if asking is None:
            asking = start_task(self._asked(leaf, issuer, urls), name="client OCSP")
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _asked(
        self, leaf: x509.Certificate, issuer: x509.Certificate, urls: tuple[str, ...]
    ) -> _Answer:
        answer = await self._ask_each(leaf, issuer, urls)
        if len(self._answers) >= MAXIMUM_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._answers[fingerprint_of(leaf)] = answer
        return answer

    async def _ask_each(
        self, leaf: x509.Certificate, issuer: x509.Certificate, urls: tuple[str, ...]
    ) -> _Answer:
        _, _, seconds = self._state
        problem = ""
        try:
            request = build_request(leaf, issuer)
            async with asyncio.timeout(seconds * len(urls)), self._turns:
                for url in urls:
                    try:
                        response = await self._fetch(url, request, seconds)
                        return self._judged(response, leaf, issuer)
                    except OcspError as failure:
                        problem = str(failure)
        except OcspError as failure:
            problem = str(failure)
        except TimeoutError:
            problem = "too many questions wait for OCSP responders"
        _log.warning("OCSP for a client certificate: %s", problem)
        return _Answer(None, self._clock() + _FAILURE_KEPT, f"OCSP: {problem}")

    def _judged(self, response: bytes, leaf: x509.Certificate, issuer: x509.Certificate) -> _Answer:
        now = self._clock()
        answer = judge_response(response, leaf, issuer, now)
        until = min(answer.next_update, now + _LONGEST_KEPT)
        if answer.revocation is Revocation.REVOKED:
            reason = f" ({answer.reason})" if answer.reason else ""
            return _Answer(answer.revocation, until, f"OCSP says so{reason}")
        detail = "the OCSP responder does not know it"
        return _Answer(answer.revocation, until, detail)
