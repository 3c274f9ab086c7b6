"""OCSP for client certificates at login: who is asked, how often, and what an answer means."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus

from mailfront.errors import OcspError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.formats import certificate_der
from mailfront.tls import certificate_bridge, client_ocsp
from mailfront.tls.client_ocsp import ClientOcsp, OcspUse
from mailfront.tls.client_verification import ClientTrust
from tests.support.ocsp import HOUR, RESPONDER, OcspAuthority, declining

pytestmark = pytest.mark.skipif(
    bool(certificate_bridge.problem()), reason=certificate_bridge.problem()
)

CA = OcspAuthority()
ALICE = CA.issue("alice.example.test")[1]
NONE, REVOKED = CertificateFault.NONE, CertificateFault.REVOKED
UNKNOWN = CertificateFault.REVOCATION_UNKNOWN


class Login:
    """A place where certificates are confirmed, with a responder that answers as told."""

    def __init__(self, use: OcspUse = OcspUse.HARD) -> None:
        self.now = datetime.now(UTC)
        self.questions: list[str] = []
        self.answer: bytes | Exception = CA.response(ALICE)
        self.free = asyncio.Event()
        self.free.set()
        self.trust = ClientTrust([CA.certificate], clock=lambda: self.now.timestamp())
        self.ocsp = ClientOcsp(self._fetch, clock=lambda: self.now)
        self.ocsp.follow(use, self.trust, 3)

    async def _fetch(self, url: str, request: bytes, seconds: float) -> bytes:
        self.questions.append(url)
        assert (bool(request), seconds) == (True, 3)
        await self.free.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def fault(self, certificate: x509.Certificate = ALICE) -> CertificateFault:
        judged = self.trust.judge(certificate_der(certificate), ())
        return (await self.ocsp.confirm(judged)).fault


@pytest.mark.parametrize("use", [OcspUse.SOFT, OcspUse.HARD])
@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (OCSPCertStatus.GOOD, NONE),
        (OCSPCertStatus.REVOKED, REVOKED),
        (OCSPCertStatus.UNKNOWN, UNKNOWN),
    ],
)
async def test_the_responders_answer_decides(
    status: OCSPCertStatus, fault: CertificateFault, use: OcspUse
) -> None:
    login = Login(use)
    login.answer = CA.response(ALICE, status)
    assert await login.fault() is fault
    assert login.questions == [RESPONDER]


@pytest.mark.parametrize(
    "answer",
    [
        OcspError("no answer"),
        declining(OCSPResponseStatus.TRY_LATER),
        b"no response",
        OcspAuthority().response(ALICE, issuer=CA.certificate),
    ],
    ids=["none", "declined", "malformed", "not authentic"],
)
@pytest.mark.parametrize(("use", "fault"), [(OcspUse.SOFT, NONE), (OcspUse.HARD, UNKNOWN)])
async def test_where_no_answer_counts_it_depends_whether_that_is_hard(
    answer: bytes | Exception, use: OcspUse, fault: CertificateFault
) -> None:
    login = Login(use)
    login.answer = answer
    assert await login.fault() is fault


async def test_an_answer_is_kept_for_as_long_as_it_says_but_an_hour_at_most() -> None:
    login = Login()
    login.answer = CA.response(ALICE, lasts=3 * HOUR)
    for minutes, asked in ((0, 1), (59, 1), (61, 2)):
        login.now = datetime.now(UTC) + timedelta(minutes=minutes)
        assert await login.fault() is NONE
        assert len(login.questions) == asked


async def test_a_failure_is_kept_for_a_minute() -> None:
    login = Login()
    login.answer = OcspError("no answer")
    start = login.now
    for seconds, asked in ((0, 1), (59, 1), (61, 2)):
        login.now = start + timedelta(seconds=seconds)
        assert await login.fault() is UNKNOWN
        assert len(login.questions) == asked


async def test_many_logins_at_once_have_one_question() -> None:
    login = Login()
    login.free.clear()
    waiting = [asyncio.ensure_future(login.fault()) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    login.free.set()
    assert await asyncio.gather(*waiting[1:]) == [NONE] * 19
    assert len(login.questions) == 1
    assert await login.fault() is NONE
    assert len(login.questions) == 1


async def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_ocsp, "MAXIMUM_ANSWERS", 3)
    login = Login(OcspUse.SOFT)
    for number in range(8):
        await login.fault(CA.issue(f"user{number}.example.test")[1])
    assert len(login.ocsp._answers) == 3
    assert login.ocsp._asking == {}


async def test_nobody_is_asked_where_it_is_off_or_could_change_nothing() -> None:
    off = Login(OcspUse.OFF)
    assert await off.fault() is NONE
    login = Login()
    without_address = CA.issue("bob.example.test", url=None)[1]
    assert await login.fault(without_address) is NONE
    strangers = OcspAuthority("Strangers").issue("eve.example.test")[1]
    assert await login.fault(strangers) is CertificateFault.UNTRUSTED
    assert off.questions == login.questions == []


async def test_one_that_is_trusted_no_more_is_not_asked_about() -> None:
    login = Login()
    certificate = ClientCertificate(certificate_der(ALICE))
    login.ocsp.follow(OcspUse.HARD, ClientTrust([]), 3)
    confirmed = await login.ocsp.confirm(certificate)
    assert confirmed.fault is CertificateFault.UNTRUSTED
    assert login.questions == []
