"""The certificate for the name a client asks for."""

from __future__ import annotations

import gc
import logging
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.interfaces.peer import TlsFacts
from mailfront.keystore import formats, requests
from mailfront.keystore.host_names import patterns_for
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import CertificateRecord, Credentials
from mailfront.keystore.trust import TrustFlags
from mailfront.tls import openssl, sni
from mailfront.tls.describe import MailSslObject, describe
from mailfront.tls.openssl import Setting
from mailfront.tls.personality import ContextSlot
from mailfront.tls.policy import policy_named
from mailfront.tls.sni import CertificateNames, ServerNames, names_of
from tests.support.keystores import new_token
from tests.support.memory_tls import MemoryTlsClient, client_context

INTERMEDIATE = policy_named("intermediate")
KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PERSONALITY = "mail.example.test"


def certificate(
    *names: str,
    key: requests.PrivateKey = KEY,
    days: float = 90,
    begins: datetime | None = None,
    purpose: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    """A certificate for `names`, self-signed."""
    begins = begins or datetime.now(UTC) - timedelta(minutes=5)
    subject = requests.build_subject(name="somebody", country="")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(key, hashes.SHA256())


def record(nickname: str, *names: str, made: x509.Certificate | None = None) -> CertificateRecord:
    made = made or certificate(*names)
    return CertificateRecord(nickname, made, (), TrustFlags.USER, has_key=True)


def groups(names: CertificateNames, *asked: str) -> list[tuple[str, ...] | None]:
    return [names.find(name) for name in asked]


def test_a_name_finds_its_certificate_in_any_case() -> None:
    names = CertificateNames([record("a", "A.example.test"), record("b", "b.example.test")])
    assert groups(names, "a.example.test", "B.EXAMPLE.TEST", "c.example.test", "") == [
        ("a",), ("b",), None, None,
    ]  # fmt: skip


def test_a_wildcard_stands_for_the_whole_left_most_label_alone() -> None:
    names = CertificateNames([record("a", "*.example.test"), record("b", "exact.example.test")])
    assert groups(names, "mail.example.test", "exact.example.test") == [("a",), ("b",)]
    assert groups(names, "example.test", "x.mail.example.test", ".test") == [None, None, None]


@pytest.mark.parametrize("pattern", ["m*.example.test", "*.*.example.test", "mail.*.test", "*"])
def test_other_patterns_are_no_names(pattern: str) -> None:
    names = CertificateNames([record("a", pattern)])
    assert len(names) == 0


@given(st.text(max_size=300))
def test_whatever_is_asked_for_costs_two_look_ups_at_most(name: str) -> None:
    patterns = list(patterns_for(name))
    assert 1 <= len(patterns) <= 2
    assert CertificateNames([]).find(name) is None


def test_a_common_name_is_no_host_name() -> None:
    assert names_of(certificate()) == frozenset()


def test_certificates_without_key_or_for_clients_alone_do_not_count() -> None:
    without_key = replace(record("a", "a.example.test"), has_key=False)
    of_client = record(
        "b", made=certificate("b.example.test", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    )
    of_server = record(
        "c", made=certificate("c.example.test", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    )
    names = CertificateNames([without_key, of_client, of_server])
    assert groups(names, "a.example.test", "b.example.test", "c.example.test") == [
        None, None, ("c",),
    ]  # fmt: skip


def test_of_several_for_a_name_the_valid_one_that_lasts_longest_is_taken() -> None:
    now = datetime.now(UTC)
    candidates = [
        record("short", made=certificate("a.example.test", days=10)),
        record("long", made=certificate("a.example.test", days=20)),
        record("tomorrow", made=certificate("a.example.test", begins=now + timedelta(days=1))),
        record(
            "expired", made=certificate("a.example.test", begins=now - timedelta(days=99), days=9)
        ),
    ]
    assert CertificateNames(candidates).find("a.example.test") == ("long",)


def test_certificates_of_different_keys_present_a_name_together() -> None:
    both = [
        record("rsa", made=certificate("a.example.test", "b.example.test", key=RSA_KEY)),
        record("ec", "a.example.test"),
    ]
    assert groups(CertificateNames(both), "a.example.test", "b.example.test") == [
        ("ec", "rsa"), ("rsa",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ("a.example.test", None),
        ("*.example.test", ("a",)),
        ("b.example.test", ("a",)),
    ],
)
def test_the_personality_comes_first_where_its_name_is_as_near(
    own: str, found: tuple[str, ...] | None
) -> None:
    names = CertificateNames([record("a", "a.example.test", "*.example.test")])
    assert names.find("a.example.test", frozenset([own])) == found


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
    slot.serve_names(CertificateNames(token.inventory().records), token)


def connect(
    slot: ContextSlot, name: str | None, client: ssl.SSLContext | None = None
) -> tuple[TlsFacts, bytes]:
    """The facts of a handshake, and the certificate that the client saw."""
    assert slot.current is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = slot.current.ssl_context.wrap_bio(incoming, outgoing, server_side=True)

    def exchange(records: bytes) -> bytes:
        incoming.write(records)
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        return outgoing.read()

    of_client = MemoryTlsClient(exchange, client, server_name=name)
    of_client.handshake()
    return describe(server, slot.current.nickname), of_client.tls.getpeercert(True) or b""


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
    assert slot.current is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = slot.current.ssl_context.wrap_bio(incoming, outgoing, server_side=True)
    flights: list[bytes] = []

    def exchange(records: bytes) -> bytes:
        flights.append(records)
        incoming.write(records)
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        slot.load(token, ("Server-Cert",), policy_named("modern"), tickets=True)
        gc.collect()
        return outgoing.read()

    client = client_context()
    # Its key share is for the first, which is not the server's: HelloRetryRequest.
    assert openssl.apply(Setting.GROUPS, client, "ffdhe2048:P-256")
    of_client = MemoryTlsClient(exchange, client, server_name="other.example.test")
    of_client.handshake()
    assert len(flights) == 3
    assert describe(server, "Server-Cert").nickname == "other"
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
    slot.serve_names(None, token)
    facts, _ = connect(slot, "other.example.test")
    assert (facts.nickname, facts.server_name) == ("Server-Cert", "other.example.test")


def test_a_certificate_that_cannot_be_used_leaves_the_personality_and_is_told_once(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    add(token, "other", "other.example.test")
    slot = slot_over(token)
    token.remove("other")
    with caplog.at_level(logging.WARNING):
        asked = ("other.example.test",) * 3
        assert served(slot, *asked) == ["Server-Cert"] * 3
    assert len(caplog.records) == 1
    assert "nickname=other" in caplog.text


def test_a_certificate_replaced_since_the_last_look_is_not_presented_for_its_old_names(
    token: InternalToken,
) -> None:
    add(token, "other", "other.example.test")
    slot = slot_over(token)
    token.replace("other", (certificate("another.example.test"),))
    assert served(slot, "other.example.test") == ["Server-Cert"]


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


def ask(names: ServerNames, context: ssl.SSLContext, asked: Sequence[str]) -> Iterable[str]:
    for name in asked:
        tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
        names.choose(tls, name, context)
        assert isinstance(tls, MailSslObject)
        yield tls.served_nickname


def test_of_five_thousand_certificates_only_those_asked_for_cost_anything(
    token: InternalToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sni, "MAXIMUM_CONTEXTS", 10)
    slot = slot_over(token)
    assert slot.current is not None
    many = ManyCertificates(5000)
    names = ServerNames("imap", ("imap",))
    names.follow(CertificateNames(many.records), (), many.credentials, INTERMEDIATE)
    assert many.fetched == []
    context = slot.current.ssl_context
    asked = [f"host{n}.example.test" for n in (4999, 17, 4999, 17, 4999)]
    assert list(ask(names, context, asked)) == ["n4999", "n17", "n4999", "n17", "n4999"]
    assert many.fetched == ["n4999", "n17"]


def test_the_contexts_that_were_not_used_for_longest_are_let_go(
    token: InternalToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sni, "MAXIMUM_CONTEXTS", 3)
    slot = slot_over(token)
    assert slot.current is not None
    many = ManyCertificates(5)
    names = ServerNames("imap", ("imap",))
    names.follow(CertificateNames(many.records), (), many.credentials, INTERMEDIATE)
    asked = [f"host{n}.example.test" for n in (0, 1, 2, 0, 3, 0, 1)]
    list(ask(names, slot.current.ssl_context, asked))
    assert many.fetched == ["n0", "n1", "n2", "n3", "n1"]
