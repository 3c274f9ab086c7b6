"""OpenSSL's provider for keys on tokens, as it is in this process."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from mailfront.errors import TokenError
from mailfront.tls import pkcs11_provider as module
from mailfront.tls.pkcs11_provider import provider_fault, settled_provider


@pytest.fixture(autouse=True)
def none_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_provider", None)


def test_where_the_provider_is_missing_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENSSL_MODULES", str(tmp_path))
    fault = provider_fault()
    assert f"{tmp_path}/pkcs11.so is missing" in fault
    assert "apt install -t bookworm-backports pkcs11-provider" in fault


def test_a_python_with_openssl_linked_in_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "linked_library", lambda: "OpenSSL is linked in")
    assert "OpenSSL is linked in" in provider_fault()
    assert "shared OpenSSL" in provider_fault()


def test_an_openssl_of_its_own_is_told_from_the_shared_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pkcs11.so").touch()
    monkeypatch.setenv("OPENSSL_MODULES", str(tmp_path))
    monkeypatch.setattr(module, "_is_shared", lambda handle: False)
    assert "its own copy of OpenSSL" in provider_fault()


def test_a_provider_that_is_none_cannot_be_loaded_and_tls_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pkcs11.so").write_text("no library")
    monkeypatch.setenv("OPENSSL_MODULES", str(tmp_path))
    provider = module.pkcs11_provider()
    with pytest.raises(TokenError, match="cannot load its pkcs11 provider"):
        provider.require(Path("/usr/lib/softhsm/libsofthsm2.so"))
    assert provider.is_settled()
    ssl.create_default_context()


def test_nothing_is_done_for_a_process_without_tokens() -> None:
    settled_provider()
    assert module._provider is None


@pytest.mark.parametrize(
    ("path", "quoted"), [("/a b.so", "/a b.so"), ("/a$b#c", "/a\\$b\\#c"), ('/"\\', '/\\"\\\\')]
)
def test_paths_are_quoted_for_the_configuration(path: str, quoted: str) -> None:
    assert module._quoted(Path(path)) == quoted
