"""Session tickets under our own keys: who resumes, who makes a full handshake."""

from __future__ import annotations

import gc
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailfront.keystore.internal_token import InternalToken
from mailfront.tls import openssl, ticket_bridge
from mailfront.tls.certificate_names import CertificateNames
from mailfront.tls.context import build_server_context
from mailfront.tls.personality import ContextSlot
from mailfront.tls.policy import policy_named
from mailfront.tls.session_tickets import TicketKeys
from mailfront.tls.succession import Succession
from mailfront.tls.ticket_bridge import TicketSeal
from tests.support.authority import self_signed
from tests.support.keystores import new_token
from tests.support.keystores import self_signed as key_and_certificate
from tests.support.memory_tls import client_context

HOUR = 3600.0
INTERMEDIATE = policy_named("intermediate")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
PURPOSE = b"imap"
CREDENTIALS = self_signed("imap-cert")

pytestmark = pytest.mark.skipif(not ticket_bridge.available(), reason="needs OpenSSL 3.0")


class Service:
    """Keys with a clock, and contexts that are sealed with them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.keys = TicketKeys(lambda: self.now)
        self.seal = TicketSeal(self.keys)

    def context(self, purpose: bytes = PURPOSE) -> ssl.SSLContext:
        context = build_server_context(
            [CREDENTIALS], INTERMEDIATE, alpn=("imap",), tickets=True
        ).ssl_context
        assert self.seal.bind(context, purpose)
        return context


class Client:
    """A client of one version that keeps its session."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        self._context = client_context()
        self._context.minimum_version = self._context.maximum_version = version
        self.session: ssl.SSLSession | None = None

    def resumes(
        self, server: ssl.SSLContext, name: str = "mail.example.test", *, keep: bool = True
    ) -> bool:
        """Connect, and tell whether the session was resumed; `keep` the new one."""
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self._context.wrap_bio(
            to_client, to_server, server_hostname=name, session=self.session
        )
        accepted = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, accepted, client, accepted, client):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        with suppress(ssl.SSLWantReadError):
            client.read(1)
        if keep:
            self.session = client.session
        return bool(accepted.session_reused)


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


@pytest.fixture
def service() -> Service:
    return Service()


def test_a_session_resumes_in_every_context_of_the_same_purpose(
    client: Client, service: Service
) -> None:
    assert not client.resumes(service.context())
    gc.collect()
    assert client.resumes(service.context())


def test_a_session_of_another_purpose_is_a_full_handshake(client: Client, service: Service) -> None:
    client.resumes(service.context())
    assert not client.resumes(service.context(b"pop"))


def test_a_session_of_another_service_is_a_full_handshake(client: Client, service: Service) -> None:
    client.resumes(service.context())
    assert not client.resumes(Service().context())


def test_the_previous_key_still_opens_and_the_client_gets_a_new_ticket(
    client: Client, service: Service
) -> None:
    context = service.context()
    client.resumes(context)
    service.now = 13 * HOUR
    assert client.resumes(context)
    service.now = 25 * HOUR
    assert client.resumes(context), "the ticket was renewed under the second key"


def test_a_forgotten_key_is_a_full_handshake(client: Client, service: Service) -> None:
    context = service.context()
    client.resumes(context)
    service.now = 24 * HOUR
    assert not client.resumes(context)
    assert client.resumes(context)


def test_a_failure_of_ours_is_a_full_handshake_and_no_crash(
    client: Client, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_name: bytes) -> None:
        raise RuntimeError("no key today")

    context = service.context()
    client.resumes(context)
    service.keys.opening_key = fail  # type: ignore[method-assign, assignment]
    assert not client.resumes(context)
    assert "session ticket" in caplog.text


def test_a_context_may_outlive_its_service(client: Client) -> None:
    context = Service().context()
    gc.collect()
    assert not client.resumes(context)
    assert client.resumes(context)


def test_where_libssl_cannot_be_reached_nothing_is_changed(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticket_bridge, "_library", lambda: None)
    context = build_server_context(
        [CREDENTIALS], INTERMEDIATE, alpn=("imap",), tickets=True
    ).ssl_context
    assert not ticket_bridge.available()
    assert not service.seal.bind(context, PURPOSE)
    assert not client.resumes(context)
    assert client.resumes(context), "under OpenSSL's own keys"


def test_an_older_openssl_has_no_callback_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    library = openssl.linked_library()
    assert not isinstance(library, str)
    monkeypatch.setattr(library, "handle", object())
    ticket_bridge._library.cache_clear()
    try:
        assert not ticket_bridge.available()
    finally:
        monkeypatch.undo()
        ticket_bridge._library.cache_clear()


def resident_kibibytes() -> int:
    """What the process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def test_handshakes_leave_nothing_behind(service: Service) -> None:
    context, client = service.context(), Client(ssl.TLSVersion.TLSv1_3)
    client.resumes(context)
    for _ in range(300):
        client.resumes(context, keep=False)
    before = resident_kibibytes()
    for _ in range(1000):
        assert client.resumes(context, keep=False)
    assert resident_kibibytes() - before < 1000


@pytest.fixture
def token(tmp_path: Path) -> InternalToken:
    (tmp_path / "certdb").mkdir()
    opened = new_token(tmp_path)
    for nickname, name in (("Server-Cert", "mail.example.test"), ("other", "other.example.test")):
        key, certificate = key_and_certificate(name)
        opened.add_key_and_certificate(nickname, key, (certificate,))
    return opened


def presented(slot: ContextSlot) -> ssl.SSLContext:
    assert slot.current is not None
    return slot.current.ssl_context


def test_a_ticket_is_good_for_one_service_policy_and_certificate(
    token: InternalToken, client: Client
) -> None:
    slot, pop = ContextSlot("imap", ("imap",)), ContextSlot("pop", ("pop3",))
    for each in (slot, pop):
        each.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True)
    client.resumes(presented(slot))
    assert not client.resumes(presented(pop), keep=False)
    slot.load(token, ("Server-Cert",), policy_named("legacy"), tickets=True)
    assert not client.resumes(presented(slot), keep=False)
    slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True)
    assert client.resumes(presented(slot)), "the same again"
    slot.load(token, ("other",), INTERMEDIATE, tickets=True)
    assert not client.resumes(presented(slot))


class Named:
    """A service that presents other certificates by name."""

    def __init__(self, token: InternalToken) -> None:
        self.slot = ContextSlot("imap", ("imap",))
        self._succession = Succession()
        self._token = token
        self.follow()

    def follow(self) -> None:
        self.slot.load(self._token, ("Server-Cert",), INTERMEDIATE, tickets=True)
        self._succession.follow(self._token.inventory(), [INTERMEDIATE], datetime.now(UTC))
        names = CertificateNames(self._succession.named)
        self.slot.serve_names(names, self._succession.open)

    def resumes(self, client: Client, name: str, *, keep: bool = True) -> bool:
        chosen = self.slot.server_names.choose(name)
        context = presented(self.slot) if chosen is None else chosen.ssl_context
        return client.resumes(context, name, keep=keep)


def test_a_ticket_is_good_for_the_certificate_that_the_name_chose(
    token: InternalToken, client: Client
) -> None:
    named = Named(token)
    assert not named.resumes(client, "other.example.test")
    assert named.resumes(client, "other.example.test")
    assert not named.resumes(client, "mail.example.test", keep=False)
    assert not named.resumes(client, "unknown.example.test", keep=False)
    assert named.resumes(client, "other.example.test")


def test_a_ticket_of_the_personality_is_not_good_for_another_name(
    token: InternalToken, client: Client
) -> None:
    named = Named(token)
    assert not named.resumes(client, "mail.example.test")
    assert not named.resumes(client, "other.example.test", keep=False)
    assert named.resumes(client, "mail.example.test")


def test_tickets_of_a_certificate_chosen_by_name_end_when_it_is_replaced(
    token: InternalToken, client: Client
) -> None:
    named = Named(token)
    named.resumes(client, "other.example.test")
    named.follow()
    assert named.resumes(client, "other.example.test"), "nothing changed"
    key, renewed = key_and_certificate("other.example.test")
    token.replace("other", (renewed,), key)
    named.follow()
    assert not named.resumes(client, "other.example.test")
    assert named.resumes(client, "other.example.test")


def test_without_tickets_nothing_resumes(token: InternalToken, client: Client) -> None:
    slot = ContextSlot("imta", ())
    slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=False)
    assert not client.resumes(presented(slot))
    assert not client.resumes(presented(slot))
