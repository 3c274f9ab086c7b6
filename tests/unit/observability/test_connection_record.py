"""The one line about a connection."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.observability.connection_record import ConnectionRecord, quoted
from tests.support.client_authority import ClientAuthority

PEER = Peer("2001:db8::1", 40000, "2001:db8::2", 993)
TLS = TlsFacts(
    "TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, resumed=True, nickname="my cert", server_name="a.test"
)


def test_a_connection_in_clear() -> None:
    line = ConnectionRecord("imap", PEER).line()
    assert line.startswith(
        "service=imap peer=[2001:db8::1]:40000 tls=none user=- auth=- in=0 out=0 seconds=0."
    )
    assert line.endswith(" end=closed")


def test_a_connection_in_tls() -> None:
    record = ConnectionRecord("imaps", PEER)
    record.tls = TLS
    record.user, record.method = "alice@example.test", "PLAIN"
    record.bytes_in, record.bytes_out = 10, 20
    record.end("logout")
    line = record.line()
    assert "tls=TLSv1.3 suite=TLS_AES_256_GCM_SHA384 group=- resumed=yes" in line
    assert 'nickname="my cert" sni=a.test user=alice@example.test auth=PLAIN in=10 out=20' in line
    assert line.endswith("end=logout")


STAFF = ClientAuthority()


def presented(fault: CertificateFault = CertificateFault.NONE, detail: str = "") -> str:
    """The line of a connection whose client presented a certificate."""
    record = ConnectionRecord("imaps", PEER)
    certificate = ClientCertificate(STAFF.issue("Alice B.").leaf, (), fault, detail)
    record.tls = replace(TLS, client_certificate=certificate)
    return record.line()


def test_a_client_certificate_is_told_by_subject_and_fingerprint() -> None:
    line = presented()
    assert re.search(r' cert="CN=Alice B\." certsha256=[0-9a-f]{64} user=', line)
    assert "certfault" not in line


def test_the_fault_of_a_client_certificate_is_told() -> None:
    line = presented(CertificateFault.EXPIRED, "its issuer")
    assert ' certfault="it has expired (its issuer)" user=' in line
    assert ' certfault="it is revoked" user=' in presented(CertificateFault.REVOKED)


def test_the_certificate_that_ended_a_handshake_is_told_too() -> None:
    record = ConnectionRecord("imaps", PEER)
    record.refused_certificate = ClientCertificate(b"?", (), CertificateFault.MALFORMED)
    assert " tls=none cert=? certsha256=" in record.line()


def test_the_first_reason_stays() -> None:
    record = ConnectionRecord("imap", PEER)
    record.end("idle time-out")
    record.end("peer closed")
    assert record.reason == "idle time-out"


def test_the_line_is_written_once_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="mailfront.connection")
    ConnectionRecord("imap", PEER).write()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("logout", "logout"),
        ("", '""'),
        ("peer closed", '"peer closed"'),
        ("a=b", '"a=b"'),
        ('say "x"', r'"say \"x\""'),
        ("back\\slash", r'"back\\slash"'),
        ("line\r\nservice=imap", r'"line\r\nservice=imap"'),
        ("\x1b[2J", r'"\x1b[2J"'),
    ],
)
def test_a_value_cannot_forge_a_line_or_a_field(value: str, text: str) -> None:
    assert quoted(value) == text


@given(st.text())
def test_any_value_stays_on_one_line_and_in_its_quotes(value: str) -> None:
    text = quoted(value)
    assert text.isprintable()
    assert re.fullmatch(r'[^ "=\\]+|"(?:[^"\\]|\\.)*"', text)
