"""The bridge to a connection's `SSL *`: proved before use, and silent where it cannot be."""

from __future__ import annotations

import contextlib
import gc
import ssl
from collections.abc import Iterator

import pytest

from mailfront.tls import connection_bridge
from mailfront.tls.connection_bridge import (
    ConnectionLibrary,
    connection_library,
    connection_pointer,
    export_keying_material,
    problem,
    verify_result,
)
from mailfront.tls.context import build_server_context
from mailfront.tls.describe import MailSslObject
from mailfront.tls.policy import policy_named
from tests.support.authority import self_signed
from tests.support.memory_tls import MemoryTlsClient, client_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
LABEL = b"EXPORTER-Channel-Binding"
WHY = "this Python has OpenSSL linked in without exporting its functions"
SELF_SIGNED = 18  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
CREDENTIALS = self_signed("imap-cert")


@pytest.fixture
def library() -> ConnectionLibrary:
    found = connection_library()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a Python with OpenSSL linked in statically."""
    monkeypatch.setattr(connection_bridge, "connection_library", lambda: WHY)


def server_context() -> ssl.SSLContext:
    policy = policy_named("intermediate")
    return build_server_context([CREDENTIALS], policy, alpn=("imap",), tickets=True).ssl_context


def fresh(context: ssl.SSLContext) -> ssl.SSLObject:
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)


def connected(version: ssl.TLSVersion) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """The server's and the client's end of an established connection."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context().wrap_bio(incoming, outgoing, server_side=True)

    def answer(records: bytes) -> bytes:
        incoming.write(records)
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
        return outgoing.read()

    context = client_context()
    context.minimum_version = context.maximum_version = version
    client = MemoryTlsClient(answer, context)
    client.handshake()
    return server, client.tls


def test_the_self_check_passes_and_may_be_repeated(library: ConnectionLibrary) -> None:
    assert problem() == ""
    assert [library.fault() for _ in range(3)] == ["", "", ""]


@pytest.mark.usefixtures("library")
def test_each_connection_has_a_pointer_of_its_own_that_stays_the_same() -> None:
    context = server_context()
    connections = [fresh(context) for _ in range(50)]
    pointers = [connection_pointer(each) for each in connections]
    assert None not in pointers
    assert len(set(pointers)) == len(pointers)
    gc.collect()
    assert [connection_pointer(each) for each in connections] == pointers


@pytest.mark.usefixtures("library")
def test_the_pointer_is_found_after_a_name_has_chosen_another_context() -> None:
    tls = fresh(server_context())
    before = connection_pointer(tls)
    tls.context = server_context()
    assert before is not None
    assert connection_pointer(tls) == before


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("version", VERSIONS)
def test_both_ends_export_the_same_material(version: ssl.TLSVersion) -> None:
    server, client = connected(version)
    material = export_keying_material(server, LABEL, 32)
    assert material is not None
    assert len(material) == 32
    assert export_keying_material(client, LABEL, 32) == material
    assert export_keying_material(server, LABEL, 64) != material
    assert export_keying_material(server, b"EXPORTER-other", 32) != material
    other, _ = connected(version)
    assert export_keying_material(other, LABEL, 32) != material


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("version", VERSIONS)
def test_an_empty_context_is_another_than_none_before_tls_1_3(version: ssl.TLSVersion) -> None:
    server, client = connected(version)
    with_context = export_keying_material(server, LABEL, 32, b"")
    assert with_context == export_keying_material(client, LABEL, 32, b"")
    same = with_context == export_keying_material(server, LABEL, 32)
    assert same is (version is ssl.TLSVersion.TLSv1_3)


@pytest.mark.usefixtures("library")
def test_an_unfinished_handshake_exports_nothing_and_leaves_no_error_behind() -> None:
    tls = fresh(server_context())
    assert export_keying_material(tls, LABEL, 32) is None
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()


@pytest.mark.parametrize("length", [0, -1, 1 << 20])
def test_a_length_that_cannot_be_exported_is_the_callers_mistake(length: int) -> None:
    with pytest.raises(ValueError, match="cannot be exported"):
        export_keying_material(fresh(server_context()), LABEL, length)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_result_of_verifying_is_openssls(version: ssl.TLSVersion) -> None:
    server, client = connected(version)
    assert verify_result(client) == SELF_SIGNED
    assert verify_result(server) == 0


@pytest.mark.usefixtures("no_library")
def test_without_a_library_the_reason_is_told_and_nothing_passes_for_success() -> None:
    tls = fresh(server_context())
    assert problem() == WHY
    assert connection_pointer(tls) is None
    assert export_keying_material(tls, LABEL, 32) is None
    with pytest.raises(LookupError):
        verify_result(tls)


def test_an_object_laid_out_otherwise_is_not_followed(library: ConnectionLibrary) -> None:
    class Strange(MailSslObject):
        """Tells of another context than the connection has."""

        @property
        def context(self) -> ssl.SSLContext:
            return other

        @context.setter
        def context(self, value: ssl.SSLContext) -> None:
            raise AssertionError

    other, context = server_context(), server_context()
    context.sslobject_class = Strange
    assert library.pointer(fresh(context)) is None


def test_a_check_that_fails_is_told(
    library: ConnectionLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_bridge, "_inner", lambda tls: None)
    assert "not laid out as expected" in library.fault()


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    """The library is proved anew by whoever comes next."""
    yield
    connection_library.cache_clear()
