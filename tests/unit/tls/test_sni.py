"""The certificate for the name a client asks for."""

from __future__ import annotations

import gc
import logging
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailfront.errors import KeystoreError
from mailfront.interfaces.peer import TlsFacts
from mailfront.keystore import formats, requests
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import Credentials
from mailfront.tls import openssl, sni
from mailfront.tls.certificate_names import CertificateNames
from mailfront.tls.context import build_server_context
from mailfront.tls.describe import describe
from mailfront.tls.openssl import Setting
from mailfront.tls.personality import ContextSlot
from mailfront.tls.policy import policy_named
from mailfront.tls.sni import ServerNames
from mailfront.tls.succession import Succession
from tests.support.keystores import new_token
from tests.support.memory_tls import MemoryTlsClient, client_context
from tests.support.server_names import KEY, certificate, record

INTERMEDIATE = policy_named("intermediate")
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PERSONALITY = "mail.example.test"


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    (tmp_path / "certdb").mkdir()
    with new_token(tmp_path) as opened:
        add(opened, "Server-Cert", PERSONALITY)
        yield opened


def add(token: InternalToken, nickname: str, *names: str, key: requests.PrivateKey = KEY) -> None:
    token.add_key_and_certificate(nickname, key, (certificate(*names, key=key),))


def slot_over(token: InternalToken) -> ContextSlot:
    slot = ContextSlot("imap", ("imap",))
    slot.load(token, ("Server-Cert",), INTERMEDIATE, tickets=True)
    follow(slot, token)
    return slot


def follow(slot: ContextSlot, token: InternalToken) -> None:
    """As at the start: whatever the keystore has is in force."""
    succession = Succession()
    succession.follow(token.inventory(), [INTERMEDIATE], datetime.now(UTC))
    slot.serve_names(CertificateNames(succession.named), succession.open)


def connect(
    slot: ContextSlot, name: str | None, client: ssl.SSLContext | None = None
) -> tuple[TlsFacts, bytes]:
    """The facts of a handshake, and the certificate that the client saw."""
    assert slot.current is not None
    chosen = slot.server_names.choose(name or "") or slot.current
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = chosen.ssl_context.wrap_bio(incoming, outgoing, server_side=True)

    def exchange(records: bytes) -> bytes:
        incoming.write(records)
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        return outgoing.read()

    of_client = MemoryTlsClient(exchange, client, server_name=name)
    of_client.handshake()
    return describe(server, chosen.nickname), of_client.tls.getpeercert(True) or b""


def served(slot: ContextSlot, *names: str | None) -> list[str]:
    return [connect(slot, name)[0].nickname for name in names]


def test_a_client_gets_the_certificate_for_the_name_it_asks_for(token: InternalToken) -> None:
    add(token, "other", "other.example.test", "*.wild.example.test")
    slot = slot_over(token)
    asked = ("other.example.test", "x.wild.example.test", PERSONALITY, "unknown.test", None)
    assert served(slot, *asked) == ["other", "other", "Server-Cert", "Server-Cert", "Server-Cert"]
    facts, seen = connect(slot, "other.example.test")
    assert facts.server_name == "other.example.test"
    assert seen == formats.certificate_der(token.require("other").certificate)


def test_versions_alpn_and_tickets_stay_those_of_the_service(token: InternalToken) -> None:
    add(token, "other", "other.example.test")
    slot = slot_over(token)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = client_context()
        client.set_alpn_protocols(["imap"])
        client.maximum_version = version
        facts, _ = connect(slot, "other.example.test", client)
        assert (facts.nickname, facts.alpn) == ("other", "imap")
    assert slot.server_names.built == 1


@pytest.mark.skipif(not openssl.available(Setting.GROUPS), reason="groups cannot be set here")
def test_a_client_that_must_begin_again_gets_the_same_even_if_the_context_is_replaced_meanwhile(
    token: InternalToken,
) -> None:
    add(token, "other", "other.example.test")
    slot = slot_over(token)
    chosen = slot.server_names.choose("other.example.test")
    assert chosen is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = chosen.ssl_context.wrap_bio(incoming, outgoing, server_side=True)
    flights: list[bytes] = []

    def exchange(records: bytes) -> bytes:
        flights.append(records)
        incoming.write(records)
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        slot.load(token, ("Server-Cert",), policy_named("modern"), tickets=True)
        follow(slot, token)
        gc.collect()
        return outgoing.read()

    client = client_context()
    # Its key share is for the first, which is not the server's: HelloRetryRequest.
    assert openssl.apply(Setting.GROUPS, client, "ffdhe2048:P-256")
    of_client = MemoryTlsClient(exchange, client, server_name="other.example.test")
    of_client.handshake()
    assert len(flights) == 3
    seen = of_client.tls.getpeercert(binary_form=True)
    assert seen == formats.certificate_der(token.require("other").certificate)


@pytest.mark.parametrize(
    ("suite", "key_type"), [("ECDHE-RSA-AES128-GCM-SHA256", "rsa"), ("ECDHE+ECDSA", "ec")]
)
def test_a_name_with_two_key_types_serves_either_client(
    token: InternalToken, suite: str, key_type: str
) -> None:
    add(token, "other-rsa", "other.example.test", key=RSA_KEY)
    add(token, "other-ec", "other.example.test")
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(suite)
    facts, seen = connect(slot_over(token), "other.example.test", client)
    assert facts.nickname == "other-ec,other-rsa"
    assert formats.key_type(x509.load_der_x509_certificate(seen).public_key()) == key_type


def test_only_what_changed_is_built_again(token: InternalToken) -> None:
    add(token, "one", "one.example.test")
    add(token, "two", "two.example.test")
    slot = slot_over(token)
    served(slot, "one.example.test", "two.example.test")
    assert slot.server_names.built == 2
    token.replace("two", (renewed := certificate("two.example.test"),))
    follow(slot, token)
    assert served(slot, "one.example.test") == ["one"]
    assert slot.server_names.built == 2
    assert connect(slot, "two.example.test")[1] == formats.certificate_der(renewed)
    assert slot.server_names.built == 3
    token.remove("one")
    follow(slot, token)
    assert served(slot, "one.example.test") == ["Server-Cert"]


def test_another_policy_is_the_policy_of_all_names(token: InternalToken) -> None:
    add(token, "other", "other.example.test")
    slot = slot_over(token)
    served(slot, "other.example.test")
    slot.load(token, ("Server-Cert",), policy_named("modern"), tickets=True)
    follow(slot, token)
    assert served(slot, "other.example.test") == ["other"]
    assert slot.server_names.built == 2


def test_turned_off_everybody_gets_the_personality(token: InternalToken) -> None:
    add(token, "other", "other.example.test")
    slot = slot_over(token)
    slot.serve_names(None, token.credentials)
    facts, _ = connect(slot, "other.example.test")
    assert (facts.nickname, facts.server_name) == ("Server-Cert", "other.example.test")


def test_a_certificate_that_cannot_be_used_leaves_the_personality_and_is_told_once(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    add(token, "other", "other.example.test")
    slot = slot_over(token)
    names = CertificateNames.of_records(token.list())
    token.remove("other")
    slot.serve_names(None, token.credentials)
    slot.serve_names(names, token.credentials)
    with caplog.at_level(logging.WARNING):
        asked = ("other.example.test",) * 3
        assert served(slot, *asked) == ["Server-Cert"] * 3
    assert len(caplog.records) == 1
    assert "nickname=other" in caplog.text


def test_a_certificate_replaced_since_the_last_look_is_followed_with_the_next(
    token: InternalToken,
) -> None:
    add(token, "other", "other.example.test")
    before = formats.certificate_der(token.require("other").certificate)
    slot = slot_over(token)
    token.replace("other", (certificate("another.example.test"),))
    assert connect(slot, "other.example.test")[1] == before


def test_a_key_that_the_policy_has_no_use_for_is_not_presented(token: InternalToken) -> None:
    rare = ec.generate_private_key(ec.SECP256K1())
    with suppress(KeystoreError):
        add(token, "rare", "rare.example.test", key=rare)
    assert served(slot_over(token), "rare.example.test") == ["Server-Cert"]


class ManyCertificates:
    """Certificates of one key, without a database; counts what is fetched."""

    def __init__(self, number: int) -> None:
        self.fetched: list[str] = []
        self.records = [record(f"n{n}", f"host{n}.example.test") for n in range(number)]
        self._by_nickname = {each.nickname: each for each in self.records}

    def credentials(self, nickname: str) -> Credentials:
        self.fetched.append(nickname)
        found = self._by_nickname[nickname].certificate
        passphrase = b"f" * 64
        key_pem = formats.encrypted_key_pem(formats.private_key_der(KEY), passphrase)
        chain_pem = formats.chain_pem((found,))
        return Credentials(nickname, found, chain_pem, key_pem, passphrase)


def followed(many: ManyCertificates) -> ServerNames:
    names = ServerNames("imap")
    names.follow(
        CertificateNames.of_records(many.records),
        (),
        many.credentials,
        INTERMEDIATE,
        lambda personality: build_server_context(
            personality, INTERMEDIATE, alpn=("imap",), tickets=True
        ),
    )
    return names


def ask(names: ServerNames, asked: Sequence[str]) -> Iterable[str]:
    for name in asked:
        chosen = names.choose(name)
        assert chosen is not None
        yield chosen.nickname


def test_of_five_thousand_certificates_only_those_asked_for_cost_anything() -> None:
    many = ManyCertificates(5000)
    names = followed(many)
    assert many.fetched == []
    asked = [f"host{n}.example.test" for n in (4999, 17, 4999, 17, 4999)]
    assert list(ask(names, asked)) == ["n4999", "n17", "n4999", "n17", "n4999"]
    assert many.fetched == ["n4999", "n17"]


def test_the_contexts_that_were_not_used_for_longest_are_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sni, "MAXIMUM_CONTEXTS", 3)
    many = ManyCertificates(5)
    names = followed(many)
    list(ask(names, [f"host{n}.example.test" for n in (0, 1, 2, 0, 3, 0, 1)]))
    assert many.fetched == ["n0", "n1", "n2", "n3", "n1"]
