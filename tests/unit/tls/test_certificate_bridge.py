"""OpenSSL's verification by way of the bridge: paths, errors, and nothing left behind."""

from __future__ import annotations

import gc
import ssl

import pytest

from mailfront.tls import certificate_bridge, connection_bridge
from mailfront.tls.certificate_bridge import AuthorityNames, TrustStore, problem
from tests.support.client_authority import DAY, NOW, ClientAuthority, der

pytestmark = pytest.mark.skipif(bool(problem()), reason=problem())

STAFF = ClientAuthority()
BELOW = ClientAuthority("Issuing CA", parent=STAFF)
AT = int(NOW.timestamp())
UNTRUSTED, EXPIRED = 20, 10


def test_a_path_leads_from_the_leaf_to_its_anchor() -> None:
    alice = BELOW.issue("alice")
    result = TrustStore([der(STAFF.certificate)]).verify(alice.leaf, alice.presented, AT)
    assert result is not None
    assert (result.error, result.words) == (0, "")
    assert result.path == (alice.leaf, der(BELOW.certificate), der(STAFF.certificate))


def test_an_intermediate_may_be_the_anchor() -> None:
    alice = BELOW.issue("alice", with_issuers=False)
    result = TrustStore([der(BELOW.certificate)]).verify(alice.leaf, (), AT)
    assert result is not None
    assert result.path == (alice.leaf, der(BELOW.certificate))


def test_an_error_tells_openssls_words_and_where_it_is() -> None:
    old = ClientAuthority("Old CA", parent=STAFF, ends=NOW - DAY)
    alice = old.issue("alice")
    result = TrustStore([der(STAFF.certificate)]).verify(alice.leaf, alice.presented, AT)
    assert result is not None
    assert (result.error, result.words, result.depth) == (EXPIRED, "certificate has expired", 1)


def test_without_anchors_nobody_is_trusted() -> None:
    alice = STAFF.issue("alice")
    result = TrustStore([]).verify(alice.leaf, (der(STAFF.certificate),), AT)
    assert result is not None
    assert result.error in (19, UNTRUSTED)


def test_a_leaf_that_is_no_certificate_is_not_judged() -> None:
    store = TrustStore([der(STAFF.certificate), b"no certificate"])
    assert store.verify(b"", (), AT) is None
    assert store.verify(b"\x30\x03\x02\x01\x01", (), AT) is None


def test_a_presented_certificate_that_cannot_be_read_is_left_out() -> None:
    alice = BELOW.issue("alice")
    store = TrustStore([der(STAFF.certificate)])
    result = store.verify(alice.leaf, (b"\x30\x00", *alice.presented), AT)
    assert result is not None
    assert result.error == 0


def test_what_fails_leaves_no_error_for_the_next_call_of_ssl() -> None:
    TrustStore([b"\x30\x00"]).verify(b"\x30\x00", (), AT)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(
        ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True
    )
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()


def test_a_request_keeps_the_names_of_cas_that_are_gone() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(
        ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True
    )
    pointer = connection_bridge.connection_pointer(tls)
    assert pointer is not None
    names = AuthorityNames([der(STAFF.certificate)])
    names.list_in(pointer)
    names.list_in(pointer)
    del names
    gc.collect()
    certificate_bridge.ask(pointer, require=True)


def test_without_a_library_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_bridge, "connection_library", lambda: "no such library")
    certificate_bridge._proved.cache_clear()
    try:
        assert problem() == "no such library"
    finally:
        monkeypatch.undo()
        certificate_bridge._proved.cache_clear()
    assert problem() == ""
