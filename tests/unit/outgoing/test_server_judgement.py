"""A finished handshake, judged by what was demanded; both ends in memory."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mailfront.errors import ServerTlsError, UpstreamTlsError
from mailfront.outgoing.client_contexts import ClientContexts
from mailfront.outgoing.dane import TlsaRecord
from mailfront.outgoing.server_judgement import SessionTls, failed_handshake, judge_server
from mailfront.outgoing.tls_decision import Protection, TlsDemand
from mailfront.outgoing.transport_policy import ResultType
from tests.support.issuing import Issued, Issuer, certificate_pem_file, key_pem_file
from tests.support.outgoing import no_certificate

HOST = "mx.example.test"
ISSUER = Issuer()
GOOD = ISSUER.issue(HOST)
OTHER = ISSUER.issue("elsewhere.test")
SELF = Issuer().issue(HOST)
EXPIRED = ISSUER.issue(HOST, begins=datetime.now(UTC) - timedelta(days=30), days=10)


def session(issued: Issued, demand: TlsDemand, directory: Path) -> ssl.SSLObject:
    """The client's end of a handshake with a server that presents `issued`."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(
        certificate_pem_file(directory / "chain", issued.chain),
        key_pem_file(directory / "key", issued.key),
    )
    contexts = ClientContexts(lambda: [ISSUER.root], no_certificate)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = contexts.context(demand.protection).wrap_bio(down, up, server_hostname=HOST)
    server = server_context.wrap_bio(up, down, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client


def demand(protection: Protection, **more: object) -> TlsDemand:
    return TlsDemand(protection, "a test", HOST, (HOST,), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("issued", "fault"),
    [
        (GOOD, None),
        (OTHER, ResultType.CERTIFICATE_HOST_MISMATCH),
        (SELF, ResultType.CERTIFICATE_NOT_TRUSTED),
        (EXPIRED, ResultType.CERTIFICATE_EXPIRED),
    ],
)
@pytest.mark.parametrize("protection", [Protection.OPPORTUNISTIC, Protection.ENCRYPTED])
def test_where_nobody_must_vouch_it_is_told_whether_anybody_does(
    issued: Issued, fault: ResultType | None, protection: Protection, tmp_path: Path
) -> None:
    wanted = demand(protection)
    found = judge_server(session(issued, wanted, tmp_path), wanted)
    assert found.web_fault is fault
    assert found.verified_by == ("" if fault else "CA")
    assert found.text.startswith("TLSv1.3 TLS_")


def test_a_verified_server_must_have_one_of_the_names(tmp_path: Path) -> None:
    wanted = demand(Protection.VERIFIED)
    assert judge_server(session(GOOD, wanted, tmp_path), wanted).verified_by == "CA"
    with pytest.raises(ServerTlsError) as caught:
        judge_server(session(OTHER, wanted, tmp_path), wanted)
    assert caught.value.result == ResultType.CERTIFICATE_HOST_MISMATCH.value


def test_dane_and_fingerprints_look_at_the_certificate_alone(tmp_path: Path) -> None:
    digest = hashlib.sha256(SELF.leaf.public_bytes(Encoding.DER)).digest()
    by_dane = demand(Protection.DANE, records=(TlsaRecord(3, 0, 1, digest),))
    by_digest = demand(Protection.FINGERPRINT, fingerprints=(digest.hex(),))
    for wanted, by in ((by_dane, "DANE 3 0 1"), (by_digest, "fingerprint")):
        found = judge_server(session(SELF, wanted, tmp_path), wanted)
        assert found == SessionTls(found.text, by)
        with pytest.raises(ServerTlsError):
            judge_server(session(GOOD, wanted, tmp_path), wanted)


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (10, ResultType.CERTIFICATE_EXPIRED),
        (18, ResultType.CERTIFICATE_NOT_TRUSTED),
        (0, ResultType.VALIDATION_FAILURE),
    ],
)
def test_a_handshake_that_failed_is_told_in_the_words_of_rfc_8460(
    code: int, result: ResultType
) -> None:
    assert failed_handshake(UpstreamTlsError("no", verify_code=code)).result == result.value
