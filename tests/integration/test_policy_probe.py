"""What clients really get: every policy asked ClientHello by ClientHello, and the services of a
running server asked by OpenSSL's own client.

A published policy keeps its answers: they are in `policies/`, one file per OpenSSL version.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess

import pytest

from mailfront.tls.policy import policy_named
from tests.conftest import NewServer
from tests.support.memory_tls import client_context
from tests.support.policy_probe import (
    OPENSSL,
    PROBED,
    SNAPSHOT,
    answers,
    dual_context,
    policy_probed_as,
)
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer
from tests.support.waiting import eventually


@pytest.mark.parametrize("name", PROBED)
def test_a_published_policy_gets_the_answers_it_always_got(name: str) -> None:
    if not SNAPSHOT.exists():
        pytest.skip(
            f"no answers are recorded for OpenSSL {OPENSSL}; "
            "python -m tests.support.policy_probe records them"
        )
    recorded = json.loads(SNAPSHOT.read_text("utf-8"))
    assert answers(policy_probed_as(name)) == recorded[name]


def test_no_answer_is_recorded_for_a_policy_that_is_gone() -> None:
    for snapshot in SNAPSHOT.parent.glob("*.json"):
        assert set(json.loads(snapshot.read_text("utf-8"))) == set(PROBED), snapshot.name


@pytest.mark.parametrize(
    ("version", "ciphers", "expected"),
    [
        (ssl.TLSVersion.TLSv1_2, "ALL", "ECDSA"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256", "RSA"),
        (ssl.TLSVersion.TLSv1_3, "ALL", "ECDSA"),
    ],
)
def test_of_two_certificates_the_ecdsa_one_is_presented_to_who_can_take_it(
    version: ssl.TLSVersion, ciphers: str, expected: str
) -> None:
    client = client_context()
    client.minimum_version = client.maximum_version = version
    client.set_ciphers(ciphers)
    server = dual_context(policy_named("intermediate"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for side in (*sides, *sides, *sides):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    certificate = sides[0].getpeercert(binary_form=True)
    assert certificate is not None
    is_rsa = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" in certificate
    assert is_rsa is (expected == "RSA")


GOODBYE = {"imaps": b"a LOGOUT\r\n", "pops": b"QUIT\r\n"}


def s_client(server: MailServer, *arguments: str, port: str = "imaps") -> str:
    """What OpenSSL's client prints of a session; it trusts any certificate."""
    address = f"{LOOPBACK}:{server.ports[port]}"
    ended = subprocess.run(
        ["openssl", "s_client", "-ign_eof", "-connect", address, *arguments],
        input=GOODBYE[port],
        capture_output=True,
        timeout=20,
        check=False,
    )
    return (ended.stdout + ended.stderr).decode("ascii", "replace")


def both_have_the_hybrid() -> bool:
    """Whether server and client are of OpenSSL 3.5 or newer; the client names the group then."""
    told = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True)
    client = tuple(map(int, told.stdout.split()[1].split(".")[:2]))
    return min(client, ssl.OPENSSL_VERSION_INFO[:2]) >= (3, 5)


OLD = ("-cipher", "ALL:@SECLEVEL=0")


def test_a_running_server_follows_its_policies_per_service_and_live(new_server: NewServer) -> None:
    options = {"local.pop.tlsprofile": "legacy", "local.pop.tlsminversion": "TLSv1.0"}
    with new_server(options) as server:
        modern = s_client(server, "-tls1_3")
        assert "New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256" in modern
        assert "Max Early Data: 0" in modern
        assert "X25519MLKEM768" in modern or not both_have_the_hybrid()
        assert "Cipher is TLS_CHACHA20_POLY1305_SHA256" in s_client(
            server,
            "-tls1_3",
            "-ciphersuites",
            "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
        )
        older = s_client(server, "-tls1_2")
        assert "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in older
        assert "Compression: NONE" in older
        eventually(
            lambda: (
                re.search(r"service=imaps? .*group=(x25519|X25519MLKEM768)", server.log) is not None
            ),
            "the log does not name the group",
        )
        assert "Secure Renegotiation IS supported" in older
        assert "Cipher is (NONE)" in s_client(server, "-tls1_2", "-cipher", "AES128-SHA")
        assert "alert protocol version" in s_client(server, "-tls1", *OLD)
        assert "Protocol  : TLSv1\n" in s_client(server, "-tls1", *OLD, port="pops")
        assert "Cipher is ECDHE-ECDSA" in s_client(server, "-tls1_2", port="pops")
        assert "service=pop TLSv1.0 is enabled, which RFC 8996 forbids" in server.log
        assert "TLSv1.0 is enabled" in server.mailfront("status").stderr

        server.set_option("local.imap.tlsminversion", "TLSv1.3")
        eventually(
            lambda: "alert protocol version" in s_client(server, "-tls1_2"),
            "the version of IMAP does not follow",
        )
        assert "Cipher is ECDHE-ECDSA" in s_client(server, "-tls1_2", port="pops")
        server.set_option("local.imap.nsssl3ciphers", "rsa_rc4_128_md5,AES999")
        eventually(lambda: "unknown cipher 'AES999'" in server.log, "the problem is not logged")
        assert "New, TLSv1.3" in s_client(server, "-tls1_3")
        assert "AES999" in server.mailfront("check").stdout
        assert "AES999" in server.mailfront("status").stderr
