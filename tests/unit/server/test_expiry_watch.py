"""Certificates near their end are warned of on the days that matter, and renewed if wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448

from mailfront.configuration.msg_conf import Configuration
from mailfront.interfaces.status import CertificateStatus
from mailfront.keystore.linked_files import Link
from mailfront.keystore.requests import build_subject
from mailfront.server.expiry_watch import (
    MAXIMUM_LINES,
    ExpiryWatch,
    certificates_in_use,
    renew_self_signed_in_use,
    renewal_due,
    threshold_of,
)
from tests.support.keystores import new_token, self_signed

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def certificate(days: int) -> CertificateStatus:
    return CertificateStatus("imap-cert", ("imap",), "AA", NOW + timedelta(days=days), days, True)


@pytest.mark.parametrize(
    ("days", "threshold"),
    [(31, None), (30, 30), (15, 30), (14, 14), (7, 7), (4, 7), (3, 3), (1, 1), (0, 1), (-2, -2)],
)
def test_the_days_that_matter(days: int, threshold: int | None) -> None:
    assert threshold_of(days) == threshold


def test_each_threshold_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = ExpiryWatch()
    for days in (31, 30, 29, 15, 14, 14, 1, 0, -1, -1, -2):
        watch.look([certificate(days)], NOW)
    told = [record.getMessage() for record in caplog.records]
    assert [line.split("imap ")[1].split(" on ")[0] for line in told] == [
        "expires in 30 days",
        "expires in 14 days",
        "expires in 1 days",
        "expired",
        "expired",
    ]


def many(number: int, days: int) -> list[CertificateStatus]:
    return [
        CertificateStatus(f"n{n}", ("sni",), f"F{n}", NOW + timedelta(days=days), days, True)
        for n in range(number)
    ]


def test_of_thousands_few_are_told_one_by_one_and_none_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = ExpiryWatch()
    for days in (31, 30, 30, 29, 14, 13):
        watch.look(many(5000, days), NOW)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2 * (MAXIMUM_LINES + 1)
    assert lines[MAXIMUM_LINES].startswith(f"{5000 - MAXIMUM_LINES} more certificates expire soon")
    assert lines[0].startswith("nickname=n0 services=sni expires in 30 days on ")


def test_a_look_is_due_every_hour_and_after_a_change() -> None:
    watch = ExpiryWatch()
    assert watch.due(NOW)
    watch.look([], NOW)
    assert not watch.due(NOW + timedelta(minutes=59))
    assert watch.due(NOW + timedelta(minutes=60))
    watch.look_again()
    assert watch.due(NOW)


def test_certificates_in_use_are_those_the_options_name(tmp_path: Path) -> None:
    configuration = Configuration.of({"local.imap.sslnicknames": "imap-cert,missing"})
    key, leaf = self_signed(now=NOW, days=20)
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("imap-cert", key, (leaf,))
        token.add_key_and_certificate("unused", key, (leaf,))
        [found] = certificates_in_use(configuration, token, ("imap", "pop"), NOW)
    assert (found.nickname, found.services, found.days_left) == ("imap-cert", ("imap",), 20)
    assert found.self_signed


def test_two_thirds_of_its_life_make_a_self_signed_certificate_due(tmp_path: Path) -> None:
    key, leaf = self_signed(now=NOW, days=90)
    with new_token(tmp_path) as token:
        record = token.add_key_and_certificate("imap-cert", key, (leaf,))
    assert not renewal_due(record, NOW + timedelta(days=59))
    assert renewal_due(record, NOW + timedelta(days=61))


def test_what_is_due_is_renewed_with_its_key(tmp_path: Path) -> None:
    key, leaf = self_signed(now=NOW, days=90)
    configuration = Configuration.of({"local.imap.sslnicknames": "imap-cert"})
    later = NOW + timedelta(days=61)
    with new_token(tmp_path) as token:
        before = token.add_key_and_certificate("imap-cert", key, (leaf,))
        in_use = certificates_in_use(configuration, token, ("imap",), later)
        assert renew_self_signed_in_use(token, in_use, later) is True
        assert renew_self_signed_in_use(token, in_use, later) is False
        after = token.require("imap-cert")
    assert after.sha256 != before.sha256
    assert after.certificate.public_key() == before.certificate.public_key()
    assert after.certificate.not_valid_after_utc > before.certificate.not_valid_after_utc


def test_one_that_cannot_be_renewed_is_told_and_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = Configuration.of({"local.imap.sslnicknames": "strange,Server-Cert"})
    later = NOW + timedelta(days=61)
    with new_token(tmp_path) as token:
        strange_key, strange = _ed448(NOW)
        token.add_key_and_certificate("strange", strange_key, (strange,))
        key, leaf = self_signed(now=NOW, days=90)
        before = token.add_key_and_certificate("Server-Cert", key, (leaf,))
        in_use = certificates_in_use(configuration, token, ("imap",), later)
        assert renew_self_signed_in_use(token, in_use, later) is True
        assert token.require("Server-Cert").sha256 != before.sha256
    assert "nickname=strange self-signed, not renewed" in caplog.text


def test_one_that_follows_files_is_renewed_where_the_files_come_from(tmp_path: Path) -> None:
    later = NOW + timedelta(days=61)
    key, leaf = self_signed(now=NOW, days=90)
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("imap-cert", key, (leaf,))
        with token.change() as step:
            step.link(Link("imap-cert", tmp_path / "cert.pem"))
        assert renew_self_signed_in_use(token, [certificate(29)], later) is False
        assert token.require("imap-cert").certificate == leaf


def _ed448(begins: datetime) -> tuple[ed448.Ed448PrivateKey, x509.Certificate]:
    key = ed448.Ed448PrivateKey.generate()
    name = build_subject(name="mail.example.test", country="")
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=90))
        .sign(key, None)
    )
    return key, made
