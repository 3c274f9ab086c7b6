"""The bridge to the linked OpenSSL: proved before use, and told where it is not to be had."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator

import pytest

from mailfront.tls import openssl
from mailfront.tls.openssl import LinkedLibrary, Setting, apply, feature, features, linked_library

WHY = "this Python has OpenSSL linked in without exporting its functions"


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a Python with OpenSSL linked in statically, older than 3.15."""
    monkeypatch.setattr(openssl, "linked_library", lambda: WHY)
    monkeypatch.setattr(openssl, "_NATIVE", {})
    yield
    openssl.implements.cache_clear()


@pytest.fixture
def library() -> LinkedLibrary:
    found = linked_library()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def server_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_the_library_is_the_one_that_ssl_is_linked_to(library: LinkedLibrary) -> None:
    assert library.fault() == ""


def test_suites_of_tls_1_3_are_set_in_the_given_order(library: LinkedLibrary) -> None:
    context = server_context()
    wanted = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]
    assert apply(Setting.TLS13_SUITES, context, ":".join(wanted))
    names = [str(cipher["name"]) for cipher in context.get_ciphers()]
    assert [name for name in names if name.startswith("TLS_")] == wanted


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (Setting.TLS13_SUITES, "TLS_NO_SUCH_SUITE"),
        (Setting.GROUPS, "X25519:no-such-group"),
        (Setting.SIGNATURE_ALGORITHMS, "no_such_algorithm"),
    ],
)
def test_what_openssl_refuses_is_told_and_leaves_no_error_behind(
    library: LinkedLibrary, setting: Setting, text: str
) -> None:
    context = server_context()
    assert apply(setting, context, text) is False
    context.set_ciphers("ECDHE+AESGCM")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()


def test_the_session_cache_is_switched_off(library: LinkedLibrary) -> None:
    assert apply(Setting.NO_SESSION_CACHE, server_context())


def test_what_is_implemented_is_found_out_name_by_name(library: LinkedLibrary) -> None:
    assert openssl.implements(Setting.GROUPS, "X25519")
    assert not openssl.implements(Setting.GROUPS, "no-such-group")
    has_hybrid = openssl.implements(Setting.GROUPS, "X25519MLKEM768")
    assert has_hybrid is (ssl.OPENSSL_VERSION_INFO[:2] >= (3, 5))


def test_the_implemented_suites_are_those_before_tls_1_3() -> None:
    names = openssl.implemented_suites()
    assert "ECDHE-RSA-AES128-GCM-SHA256" in names
    assert not [name for name in names if name.startswith("TLS_")]
    assert set(openssl.default_tls13_suites()) >= {"TLS_AES_128_GCM_SHA256"}


def test_each_setting_tells_by_which_means_it_is_made(library: LinkedLibrary) -> None:
    for each in features():
        native = hasattr(ssl.SSLContext, openssl._NATIVE.get(each.setting, "no such setter"))
        assert each.means == ("ssl" if native else "libssl")
        assert each.available
    assert openssl.unavailable_settings() == []


def test_without_a_library_nothing_is_set_and_the_reason_is_told(no_library: None) -> None:
    assert apply(Setting.GROUPS, server_context(), "X25519") is False
    for each in features():
        assert (each.available, each.means, each.reason) == (False, "none", WHY)
    told = openssl.unavailable_settings()
    assert told[0] == f"TLS 1.3 suites: cannot be set, OpenSSL's own choice stays: {WHY}"
    assert len(told) == len(Setting)


def test_a_setter_of_ssl_itself_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class NewerContext(ssl.SSLContext):
        """As Python 3.15 has it."""

        def set_groups(self, groups: str) -> None:
            if "no-such" in groups:
                raise ssl.SSLError("unrecognized group")
            given.append(groups)

    monkeypatch.setattr(ssl, "SSLContext", NewerContext)
    context = NewerContext(ssl.PROTOCOL_TLS_SERVER)
    assert feature(Setting.GROUPS).means == "ssl"
    assert apply(Setting.GROUPS, context, "X25519:P-256")
    assert apply(Setting.GROUPS, context, "no-such") is False
    assert given == ["X25519:P-256"]


def test_a_library_of_another_version_is_refused(
    library: LinkedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssl, "OPENSSL_VERSION", "OpenSSL 9.9.9")
    assert "another OpenSSL" in library.fault()


def test_a_library_that_reads_other_options_is_refused(
    library: LinkedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_get_options", lambda pointer: 0)
    assert "the self-check failed" in library.fault()


@pytest.fixture
def fresh_search() -> Iterator[None]:
    linked_library.cache_clear()
    yield
    linked_library.cache_clear()


def test_a_python_that_exports_nothing_is_told(
    fresh_search: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        def __init__(self, *arguments: object, **options: object) -> None:
            """As a handle in which no function is found."""

    monkeypatch.setattr("ctypes.CDLL", Nothing)
    assert linked_library() == WHY


def test_another_implementation_of_python_is_not_touched(
    fresh_search: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    assert linked_library() == "pypy keeps contexts in another way than CPython"
