"""Responses stapled to handshakes: to which of them, which response, and for how long."""

from __future__ import annotations

import gc
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.keystore import formats
from mailfront.keystore.internal_token import Credentials
from mailfront.keystore.ocsp import fingerprint_of
from mailfront.tls import openssl, stapling_bridge
from mailfront.tls.context import build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.stapling_bridge import MAXIMUM_STAPLE, StapleReader, Staples
from tests.support.keystores import self_signed as key_and_certificate
from tests.support.memory_tls import client_context
from tests.support.ocsp import SigningKey

INTERMEDIATE = policy_named("intermediate")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
UNTIL = float("inf")

pytestmark = pytest.mark.skipif(
    bool(stapling_bridge.unavailable()), reason=stapling_bridge.unavailable()
)


def credentials_of(key: SigningKey, certificate: x509.Certificate) -> Credentials:
    passphrase = b"0123456789abcdef0123456789abcdef"
    key_pem = formats.encrypted_key_pem(formats.private_key_der(key), passphrase)
    return Credentials(
        "Server-Cert", certificate, formats.certificate_pem(certificate), key_pem, passphrase
    )


def made(family: str = "ec", name: str = "mail.example.test") -> Credentials:
    return credentials_of(*key_and_certificate(name, family=family))


EC, RSA, OTHER = made(), made("rsa"), made(name="other.example.test")


def server_context(*personality: Credentials, tickets: bool = False) -> ssl.SSLContext:
    return build_server_context(personality, INTERMEDIATE, alpn=(), tickets=tickets).ssl_context


class Client:
    """A client of one version that asks for the status, or does not."""

    def __init__(self, version: ssl.TLSVersion, *, asks: bool = True, ciphers: str = "") -> None:
        self.context = client_context()
        self.context.minimum_version = self.context.maximum_version = version
        if ciphers:
            self.context.set_ciphers(ciphers)
        self.reader = StapleReader()
        self.session: ssl.SSLSession | None = None
        self.resumed = False
        if asks:
            assert self.reader.bind(self.context)

    def receives(
        self, server: ssl.SSLContext, name: str = "mail.example.test", *, keep: bool = False
    ) -> bytes:
        """Connect, and return what was stapled; `keep` the session for the next time."""
        self.reader.response = b""
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.context.wrap_bio(
            to_client, to_server, server_hostname=name, session=self.session
        )
        accepted = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, accepted, client, accepted, client):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        assert client.version(), "the handshake is complete"
        with suppress(ssl.SSLWantReadError):
            client.read(1)
        if keep:
            self.session = client.session
        self.resumed = bool(client.session_reused)
        return self.reader.response


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    found = request.param
    assert isinstance(found, ssl.TLSVersion)
    return found


def stapled(*responses: tuple[Credentials, bytes]) -> Staples:
    staples = Staples()
    for credentials, response in responses:
        staples.put(fingerprint_of(credentials.certificate), response, UNTIL)
    return staples


def test_a_client_that_asks_gets_the_response(version: ssl.TLSVersion) -> None:
    staples, context = stapled((EC, b"response")), server_context(EC)
    assert staples.bind(context)
    assert Client(version).receives(context) == b"response"


def test_a_client_that_does_not_ask_gets_none(version: ssl.TLSVersion) -> None:
    staples, context = stapled((EC, b"response")), server_context(EC)
    staples.bind(context)
    assert Client(version, asks=False).receives(context) == b""


def test_without_a_response_the_handshake_goes_on(version: ssl.TLSVersion) -> None:
    staples, context = stapled((OTHER, b"response")), server_context(EC)
    staples.bind(context)
    assert Client(version).receives(context) == b""


@pytest.mark.parametrize(("ciphers", "expected"), [("aECDSA", b"for EC"), ("aRSA", b"for RSA")])
def test_each_certificate_of_a_personality_has_its_own_in_tls12(
    ciphers: str, expected: bytes
) -> None:
    staples, context = stapled((EC, b"for EC"), (RSA, b"for RSA")), server_context(EC, RSA)
    staples.bind(context)
    assert Client(ssl.TLSVersion.TLSv1_2, ciphers=ciphers).receives(context) == expected


@pytest.mark.parametrize(
    ("algorithms", "expected"), [("ECDSA+SHA256", b"for EC"), ("rsa_pss_rsae_sha256", b"for RSA")]
)
def test_each_certificate_of_a_personality_has_its_own_in_tls13(
    algorithms: str, expected: bytes
) -> None:
    staples, context = stapled((EC, b"for EC"), (RSA, b"for RSA")), server_context(EC, RSA)
    staples.bind(context)
    client = Client(ssl.TLSVersion.TLSv1_3)
    assert openssl.apply(openssl.Setting.SIGNATURE_ALGORITHMS, client.context, algorithms)
    assert client.receives(context) == expected


@pytest.mark.parametrize("first_is_bound", [True, False])
def test_a_context_chosen_by_name_staples_its_own(
    version: ssl.TLSVersion, first_is_bound: bool
) -> None:
    staples, first, chosen = (
        stapled((EC, b"own"), (OTHER, b"other")),
        server_context(EC),
        server_context(OTHER),
    )
    staples.bind(chosen)
    if first_is_bound:
        staples.bind(first)

    def choose(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name == "other.example.test":
            tls.context = chosen

    first.sni_callback = choose
    client = Client(version)
    assert client.receives(first, "other.example.test") == b"other"
    assert client.receives(first) == (b"own" if first_is_bound else b"")


def test_a_resumed_session_is_not_disturbed(version: ssl.TLSVersion) -> None:
    staples, context = stapled((EC, b"response")), server_context(EC, tickets=True)
    staples.bind(context)
    client = Client(version)
    assert client.receives(context, keep=True) == b"response"
    client.receives(context)
    assert client.resumed


def test_a_response_is_never_stapled_after_its_end(version: ssl.TLSVersion) -> None:
    now = [1000.0]
    staples, context = Staples(lambda: now[0]), server_context(EC)
    staples.put(fingerprint_of(EC.certificate), b"response", 2000.0)
    staples.bind(context)
    assert Client(version).receives(context) == b"response"
    now[0] = 2000.0
    assert Client(version).receives(context) == b""


def test_a_later_response_takes_the_place_of_an_earlier_one(version: ssl.TLSVersion) -> None:
    staples, context = stapled((EC, b"first")), server_context(EC)
    staples.bind(context)
    fingerprint = fingerprint_of(EC.certificate)
    staples.put(fingerprint, b"second", UNTIL)
    assert Client(version).receives(context) == b"second"
    staples.drop(fingerprint)
    staples.drop(fingerprint)
    assert Client(version).receives(context) == b""


def test_a_response_may_have_its_full_size(version: ssl.TLSVersion) -> None:
    response = bytes(MAXIMUM_STAPLE)
    staples, context = stapled((EC, response)), server_context(EC)
    staples.bind(context)
    assert Client(version).receives(context) == response


def test_a_context_may_outlive_the_responses(version: ssl.TLSVersion) -> None:
    context = server_context(EC)
    stapled((EC, b"response")).bind(context)
    gc.collect()
    assert Client(version).receives(context) == b""


def test_responses_and_contexts_are_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        before = len(stapling_bridge._bound)
        staples, context = stapled((EC, b"response")), server_context(EC)
        staples.bind(context)
        assert len(stapling_bridge._bound) == before + 1
        del staples
        assert len(stapling_bridge._bound) == before
    finally:
        gc.enable()


def test_a_failure_of_ours_is_a_handshake_without_a_response(
    version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_fingerprint: bytes) -> bytes:
        raise RuntimeError("no response today")

    staples, context = stapled((EC, b"response")), server_context(EC)
    staples.bind(context)
    staples.current = fail  # type: ignore[method-assign, assignment]
    assert Client(version).receives(context) == b""
    assert "could not be stapled" in caplog.text


def test_where_libssl_cannot_be_reached_nothing_is_changed(
    version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, client = server_context(EC), Client(version)
    with monkeypatch.context() as patched:
        patched.setattr(stapling_bridge, "_library", lambda: "not to be had")
        assert stapling_bridge.unavailable() == "not to be had"
        assert not stapled((EC, b"response")).bind(context)
        assert not StapleReader().bind(client_context())
    assert client.receives(context) == b""


def test_a_library_that_lacks_a_function_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def __getitem__(self, name: str) -> None:
            raise AttributeError(name)

    library = openssl.linked_library()
    assert not isinstance(library, str)
    monkeypatch.setattr(library, "handle", Empty())
    stapling_bridge._library.cache_clear()
    try:
        assert "lacks a function" in stapling_bridge.unavailable()
    finally:
        monkeypatch.undo()
        stapling_bridge._library.cache_clear()


def test_a_library_that_forgets_what_is_set_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stapling_bridge, "_GET_CALLBACK_ARGUMENT", 0x7FFF)
    stapling_bridge._library.cache_clear()
    try:
        assert "self-check" in stapling_bridge.unavailable()
    finally:
        monkeypatch.undo()
        stapling_bridge._library.cache_clear()


def resident_kibibytes() -> int:
    """What the process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def test_handshakes_leave_nothing_behind() -> None:
    staples, context = stapled((EC, bytes(4096))), server_context(EC)
    staples.bind(context)
    client = Client(ssl.TLSVersion.TLSv1_3)

    def connect(times: int) -> None:
        for _ in range(times):
            assert client.receives(context)

    connect(300)
    before = resident_kibibytes()
    connect(1000)
    # A thousand responses would be four times as much.
    assert resident_kibibytes() - before < 1000
