"""Channel binding over real handshakes in memory: both ends derive the same, others do not."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mailfront.tls.channel_binding import channel_binding, end_point_digest, note_certificates
from mailfront.tls.connection_bridge import export_keying_material
from tests.support.client_authority import ClientAuthority, ClientIdentity, new_key

EXPORTER, END_POINT = "tls-exporter", "tls-server-end-point"


@pytest.fixture(scope="module")
def identities() -> dict[str, ClientIdentity]:
    authority = ClientAuthority("Server CA")
    return {kind: authority.issue(kind, key=new_key(kind)) for kind in ("ec", "rsa", "ed25519")}


def server_context(
    tmp_path_factory: pytest.TempPathFactory, *identities: ClientIdentity
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for identity in identities:
        identity.load_into(context, tmp_path_factory.mktemp("keys"))
    note_certificates(context, [identity.certificate for identity in identities])
    return context


def handshake(
    context: ssl.SSLContext,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    session: ssl.SSLSession | None = None,
    client_context: ssl.SSLContext | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """The server's and the client's end of a connection."""
    if client_context is None:
        client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_context.check_hostname = False
        client_context.verify_mode = ssl.CERT_NONE
    client_context.maximum_version = version
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, session=session)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    # The tickets of TLS 1.3 come with the first data.
    server.write(b"x")
    assert client.read(1) == b"x"
    return server, client


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_both_ends_export_the_same_and_two_connections_do_not(
    kind: str,
    identities: dict[str, ClientIdentity],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    context = server_context(tmp_path_factory, identities[kind])
    server, client = handshake(context)
    ours = channel_binding(server, EXPORTER)
    assert ours is not None
    assert len(ours) == 32
    # RFC 9266 section 4: the label, an empty context, 32 octets.
    assert export_keying_material(client, b"EXPORTER-Channel-Binding", 32, b"") == ours
    assert channel_binding(handshake(context)[0], EXPORTER) != ours


def test_the_end_point_is_the_digest_of_the_certificate_that_was_shown(
    identities: dict[str, ClientIdentity], tmp_path_factory: pytest.TempPathFactory
) -> None:
    both = server_context(tmp_path_factory, identities["ec"], identities["rsa"])
    for context in (server_context(tmp_path_factory, identities["rsa"]), both):
        server, client = handshake(context)
        shown = client.getpeercert(binary_form=True)
        assert shown is not None
        assert channel_binding(server, END_POINT) == hashlib.sha256(shown).digest()


def test_a_resumed_connection_has_an_end_point_only_where_it_is_certain(
    identities: dict[str, ClientIdentity], tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = server_context(tmp_path_factory, identities["rsa"])
    two = server_context(tmp_path_factory, identities["ec"], identities["rsa"])
    for context, certain in ((one, True), (two, False)):
        client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_context.check_hostname = False
        client_context.verify_mode = ssl.CERT_NONE
        _, client = handshake(context, client_context=client_context)
        resumed, _ = handshake(context, session=client.session, client_context=client_context)
        assert resumed.session_reused
        assert (channel_binding(resumed, END_POINT) is not None) is certain
        assert channel_binding(resumed, EXPORTER) is not None


def test_before_tls_1_3_and_for_other_kinds_there_is_none(
    identities: dict[str, ClientIdentity], tmp_path_factory: pytest.TempPathFactory
) -> None:
    context = server_context(tmp_path_factory, identities["ec"])
    old, _ = handshake(context, ssl.TLSVersion.TLSv1_2)
    new, _ = handshake(context)
    assert channel_binding(old, EXPORTER) is None
    assert channel_binding(old, END_POINT) is None
    assert channel_binding(new, "tls-unique") is None


def test_a_context_that_was_not_noted_has_no_end_point(
    identities: dict[str, ClientIdentity], tmp_path_factory: pytest.TempPathFactory
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    identities["ec"].load_into(context, tmp_path_factory.mktemp("keys"))
    assert channel_binding(handshake(context)[0], END_POINT) is None


@pytest.mark.parametrize(
    ("key", "digest", "expected"),
    [
        (rsa.generate_private_key(65537, 2048), hashes.SHA384(), "sha384"),
        (ec.generate_private_key(ec.SECP256R1()), hashes.SHA512(), "sha512"),
        (ed25519.Ed25519PrivateKey.generate(), None, None),
    ],
)
def test_the_digest_is_that_of_the_signature(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    digest: hashes.SHA384 | hashes.SHA512 | None,
    expected: str | None,
) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, digest)
    )
    octets = certificate.public_bytes(Encoding.DER)
    found = end_point_digest(certificate)
    assert found == (None if expected is None else hashlib.new(expected, octets).digest())
