"""Stapling over time: what is fetched and when, what is stapled until when, what is told of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import OcspError
from mailfront.interfaces.status import CertificateStatus
from mailfront.keystore.formats import sha256_fingerprint
from mailfront.keystore.ocsp import fingerprint_of
from mailfront.server import stapling as stapling_module
from mailfront.server.certificates import ServiceContexts
from mailfront.server.stapling import Stapling
from mailfront.tls import stapling_bridge
from tests.support.keystores import new_token
from tests.support.ocsp import HOUR, RESPONDER, OcspAuthority

MAIL, TENANT = "mail.example.test", "tenant.example.test"
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.skipif(
    bool(stapling_bridge.unavailable()), reason=stapling_bridge.unavailable()
)


class Site:
    """A keystore, its authority, whose answers tests choose, and the stapling of its service."""

    def __init__(self, path: Path) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.authority = OcspAuthority()
        self.status = ocsp.OCSPCertStatus.GOOD
        self.begins: datetime | None = None
        self.failure = ""
        self.garbage = b""
        self.asked: list[str] = []
        self.options: dict[str, str] = {}
        self.certificates: dict[str, x509.Certificate] = {}
        self._path = path
        (path / "certdb").mkdir()
        self.token = new_token(path)
        self.token.add_authority("ca", self.authority.certificate)
        self.restart()

    def restart(self) -> None:
        self.stapling = Stapling(
            self._path / "certdb" / "ocsp",
            fetch=self.fetch,
            clock=lambda: self.now,
            chance=lambda: 0.0,
        )
        self.contexts = ServiceContexts(["imap"], self.stapling)

    def add(
        self, nickname: str, name: str, *, must_staple: bool = False, url: str | None = RESPONDER
    ) -> x509.Certificate:
        key, certificate = self.authority.issue(name, must_staple=must_staple, url=url)
        if nickname in self.certificates:
            self.token.replace(nickname, (certificate,), key)
        else:
            self.token.add_key_and_certificate(nickname, key, (certificate,))
        self.certificates[nickname] = certificate
        return certificate

    def load(self) -> None:
        self.contexts.load(Configuration.of(self.options), self.token)

    async def fetch(self, url: str, request: bytes, _seconds: float) -> bytes:
        serial = ocsp.load_der_ocsp_request(request).serial_number
        [nickname] = [
            nickname
            for nickname, certificate in self.certificates.items()
            if certificate.serial_number == serial
        ]
        self.asked.append(nickname)
        assert url == RESPONDER
        if self.failure:
            raise OcspError(self.failure)
        begins = self.begins or self.now
        return self.garbage or self.authority.response(
            self.certificates[nickname], self.status, begins=begins
        )

    async def look(self, later: timedelta = timedelta(0)) -> None:
        """A look after so much time, and the end of what it began."""
        self.now += later
        self.stapling.look()
        while self.stapling._tasks:
            await asyncio.sleep(0.001)

    def stapled(self, nickname: str = "Server-Cert") -> bytes:
        return self.stapling.staples.current(fingerprint_of(self.certificates[nickname]))

    def described(self) -> CertificateStatus:
        served = self.certificates["Server-Cert"]
        [described] = self.stapling.described(
            [
                CertificateStatus(
                    "Server-Cert", ("imap",), sha256_fingerprint(served), self.now, 90, False
                )
            ]
        )
        return described

    def files(self) -> list[str]:
        directory = self._path / "certdb" / "ocsp"
        return sorted(path.stem for path in directory.iterdir()) if directory.exists() else []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.add("Server-Cert", MAIL)
    yield made
    made.token.close()


async def test_the_start_waits_for_nobody_and_the_first_look_fetches(site: Site) -> None:
    site.load()
    assert site.asked == []
    await site.look()
    assert site.asked == ["Server-Cert"]
    assert site.stapled()
    assert site.stapling.problems() == site.stapling.warnings() == []


async def test_a_certificate_without_a_responder_is_silent(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("Server-Cert", MAIL, url=None)
    site.load()
    await site.look()
    assert (site.asked, site.stapled(), caplog.text) == ([], b"", "")
    assert site.stapling.problems() == site.stapling.warnings() == []
    assert site.described().stapled_until is None


async def test_a_response_is_replaced_halfway_through_its_life(site: Site) -> None:
    site.load()
    await site.look()
    first = site.stapled()
    await site.look(29 * MINUTE)
    assert site.stapled() == first
    await site.look(MINUTE)
    assert len(site.asked) == 2
    assert site.stapled() not in (b"", first)


async def test_a_responder_that_dies_leaves_the_response_until_shortly_before_its_end(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.load()
    await site.look()
    site.failure = "the responder is away"
    for _ in range(53):
        await site.look(MINUTE)
    assert site.stapled()
    assert "no new OCSP response: the responder is away" in caplog.text
    assert site.stapling.problems() == site.stapling.warnings() == []
    assert site.described().staple_problem == "the responder is away"
    await site.look(MINUTE)
    assert site.stapled() == b""
    assert "nothing is stapled any more" in caplog.text
    assert site.files() == []
    assert "the responder is away" in site.stapling.warnings()[0]
    assert len(site.asked) < 15, "ever later"
    site.failure = ""
    await site.look(90 * MINUTE)
    assert site.stapled()
    assert site.stapling.warnings() == []


async def test_the_response_ends_even_if_nobody_looks(site: Site) -> None:
    site.load()
    await site.look()
    site.now += 54 * MINUTE
    assert site.stapled() == b""


async def test_a_failure_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.failure = "away"
    site.load()
    for _ in range(10):
        await site.look(HOUR)
    assert caplog.text.count("no new OCSP response: away") == 1


@pytest.mark.parametrize("garbage", [b"<html>", b"0" * 70000])
async def test_an_answer_that_is_none_changes_nothing(site: Site, garbage: bytes) -> None:
    site.load()
    await site.look()
    first, site.garbage = site.stapled(), garbage
    await site.look(31 * MINUTE)
    assert len(site.asked) == 2
    assert site.stapled() == first
    assert site.described().staple_problem


async def test_revoked_is_told_loudly_and_stapled(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.load()
    await site.look()
    good = site.stapled()
    site.status = ocsp.OCSPCertStatus.REVOKED
    await site.look(31 * MINUTE)
    assert site.stapled() not in (b"", good)
    assert [each.levelno for each in caplog.records if "REVOKED" in each.message] == [logging.ERROR]
    assert "REVOKED" in site.stapling.problems()[0]
    assert "keyCompromise" in site.described().staple_problem


async def test_an_older_good_does_not_hide_a_newer_revoked(site: Site) -> None:
    site.load()
    site.status = ocsp.OCSPCertStatus.REVOKED
    await site.look()
    revoked = site.stapled()
    site.status, site.begins = ocsp.OCSPCertStatus.GOOD, site.now - MINUTE
    await site.look(31 * MINUTE)
    assert len(site.asked) == 2
    assert site.stapled() == revoked
    assert "REVOKED" in site.stapling.problems()[0]


async def test_unknown_leaves_the_good_one(site: Site) -> None:
    site.load()
    await site.look()
    good, site.status = site.stapled(), ocsp.OCSPCertStatus.UNKNOWN
    await site.look(31 * MINUTE)
    assert site.stapled() == good
    assert "does not know" in site.described().staple_problem


async def test_a_restart_staples_from_disk_before_anybody_is_asked(site: Site) -> None:
    site.load()
    await site.look()
    assert site.files() == [fingerprint_of(site.certificates["Server-Cert"]).hex()]
    kept, site.failure = site.stapled(), "the responder is away"
    site.restart()
    site.load()
    assert site.stapled() == kept
    await site.look()
    assert len(site.asked) == 1, "it is fresh"


async def test_what_is_on_disk_is_judged_anew(site: Site) -> None:
    site.load()
    await site.look()
    site.now += 2 * HOUR
    site.restart()
    site.load()
    assert site.stapled() == b""
    assert site.files() == []


async def test_a_new_certificate_is_asked_about_at_once_and_the_old_one_forgotten(
    site: Site,
) -> None:
    site.load()
    await site.look()
    old = site.certificates["Server-Cert"]
    site.add("Server-Cert", MAIL)
    site.load()
    await site.look()
    assert len(site.asked) == 2
    assert site.stapled()
    assert site.stapling.staples.current(fingerprint_of(old)) == b""
    assert site.files() == [fingerprint_of(site.certificates["Server-Cert"]).hex()]


async def test_a_reload_keeps_the_response_of_an_unchanged_certificate(site: Site) -> None:
    site.load()
    await site.look()
    kept = site.stapled()
    site.options = {"local.imap.tlsprofile": "modern"}
    site.load()
    assert site.stapled() == kept
    await site.look()
    assert (site.stapled(), len(site.asked)) == (kept, 1)


async def test_the_option_turns_it_off_and_on_live(site: Site) -> None:
    site.load()
    await site.look()
    kept = site.stapled()
    site.options = {"local.ssl.ocspstapling": "no"}
    site.load()
    await site.look(31 * MINUTE)
    assert (site.stapled(), len(site.asked)) == (b"", 1)
    assert site.described().stapled_until is None
    assert site.stapling.problems() == site.stapling.warnings() == []
    site.options, site.failure = {}, "away"
    site.load()
    await site.look()
    assert site.stapled() == kept


async def test_a_certificate_chosen_by_name_is_asked_about_from_its_first_use_on(
    site: Site,
) -> None:
    site.add("tenant", TENANT)
    site.load()
    await site.look()
    assert site.asked == ["Server-Cert"]
    assert site.contexts.slots["imap"].server_names.choose(TENANT) is not None
    await site.look()
    assert site.asked == ["Server-Cert", "tenant"]
    assert site.stapled("tenant")
    site.restart()
    site.load()
    assert site.stapled("tenant"), "from disk, before it is chosen"
    site.token.remove("tenant")
    site.load()
    await site.look()
    assert site.stapled("tenant") == b""
    assert len(site.files()) == 1


async def test_a_missing_issuer_is_told_and_mended_live(site: Site) -> None:
    site.token.remove("ca")
    site.load()
    await site.look()
    assert site.asked == []
    assert "its issuer's certificate is not in the database" in site.stapling.warnings()[0]
    site.token.add_authority("ca", site.authority.certificate)
    site.load()
    await site.look()
    assert site.stapled()


async def test_a_certificate_that_demands_a_response_is_a_problem_without(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("Server-Cert", MAIL, must_staple=True)
    site.failure = "away"
    site.load()
    await site.look()
    assert caplog.records[-1].levelno == logging.ERROR
    assert site.stapling.problems() == [
        "Server-Cert: clients refuse it without an OCSP response: away"
    ]
    site.options = {"local.ssl.ocspstapling": "no"}
    site.load()
    await site.look()
    assert "clients refuse it" in site.stapling.problems()[0]
    site.options, site.failure = {}, ""
    site.load()
    await site.look(MINUTE)
    assert site.stapling.problems() == []


async def test_a_demand_without_a_responder_is_a_problem(site: Site) -> None:
    site.add("Server-Cert", MAIL, must_staple=True, url=None)
    site.load()
    await site.look()
    assert "names no OCSP responder" in site.stapling.problems()[0]


async def test_the_status_tells_until_when(site: Site) -> None:
    site.load()
    await site.look()
    assert site.described().stapled_until == site.now + 54 * MINUTE
    assert site.described().staple_problem == ""


async def test_a_disk_that_takes_nothing_does_not_keep_from_stapling(
    site: Site, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "certdb" / "ocsp").write_text("no directory")
    site.load()
    await site.look()
    assert site.stapled()
    assert "cannot be kept" in caplog.text


async def test_no_more_certificates_than_a_limit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stapling_module, "MAXIMUM_CERTIFICATES", 1)
    site.add("tenant", TENANT)
    site.load()
    site.contexts.slots["imap"].server_names.choose(TENANT)
    await site.look()
    assert site.asked == ["Server-Cert"]
    assert site.stapling.warnings() == ["OCSP responses: only 1 certificates have one"]


async def test_a_failure_of_ours_is_not_repeated_every_second(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(url: str, request: bytes, seconds: float) -> bytes:
        site.asked.append("x")
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(site.stapling, "_fetch", fail)
    site.load()
    for _ in range(3):
        await site.look()
    assert len(site.asked) == 1


async def test_closing_gives_up_what_is_under_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(url: str, request: bytes, seconds: float) -> bytes:
        await asyncio.sleep(3600)
        return b""

    monkeypatch.setattr(site.stapling, "_fetch", wait)
    site.load()
    site.stapling.look()
    await asyncio.sleep(0)
    await site.stapling.close()
    assert site.stapling._tasks == set()


async def test_where_nothing_can_be_stapled_that_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stapling_bridge, "_library", lambda: "not to be had")
    site.load()
    await site.look()
    assert site.asked == []
    assert site.stapling.warnings() == ["OCSP responses: cannot be stapled: not to be had"]
