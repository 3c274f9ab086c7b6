"""What the options ask of the contexts of each service."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.keystore.internal_token import InternalToken
from mailfront.server.certificates import (
    ALPN,
    ServiceContexts,
    nickname_option,
    nicknames_of,
)
from tests.support.keystores import new_token, self_signed

OF_ALL = "encryption.rsa.nssslpersonalityssl"


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as opened:
        for nickname in ("Server-Cert", "imap-cert"):
            key, certificate = self_signed()
            opened.add_key_and_certificate(nickname, key, (certificate,))
        yield opened


def test_a_service_has_its_own_nicknames_or_those_of_all() -> None:
    configuration = Configuration.of({"local.imap.sslnicknames": "imap-cert,imap-rsa"})
    assert nicknames_of(configuration, "imap") == ("imap-cert", "imap-rsa")
    assert nickname_option(configuration, "imap") == "local.imap.sslnicknames"
    assert nicknames_of(configuration, "pop") == ("Server-Cert",)
    assert nickname_option(configuration, "pop") == OF_ALL


def test_every_service_gets_its_context(token: InternalToken) -> None:
    contexts = ServiceContexts(ALPN)
    configuration = Configuration.of(
        {"local.imap.sslnicknames": "imap-cert", "local.pop.tlsprofile": "modern"}
    )
    assert contexts.load(configuration, token) == list(ALPN)
    imap, pop = contexts.slots["imap"].current, contexts.slots["pop"].current
    assert imap is not None
    assert pop is not None
    assert (imap.nickname, pop.nickname) == ("imap-cert", "Server-Cert")
    assert pop.ssl_context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert contexts.load(configuration, token) == []


def test_only_what_changed_is_replaced(token: InternalToken) -> None:
    contexts = ServiceContexts(ALPN)
    contexts.load(Configuration.of({}), token)
    changed = Configuration.of({"local.imap.sslnicknames": "imap-cert"})
    assert contexts.load(changed, token) == ["imap"]


def test_at_the_start_a_wrong_nickname_is_refused_with_its_option(token: InternalToken) -> None:
    configuration = Configuration.of({"local.imap.sslnicknames": "imap-crt"})
    with pytest.raises(ConfigurationError, match=r"local\.imap\.sslnicknames = imap-crt: ") as it:
        ServiceContexts(ALPN).load(configuration, token)
    assert "imap-cert" in it.value.remedy


def test_later_it_is_a_problem_and_the_old_certificate_stays(token: InternalToken) -> None:
    contexts = ServiceContexts(ALPN)
    contexts.load(Configuration.of({}), token)
    before = contexts.slots["imap"].current
    contexts.load(Configuration.of({"local.imap.sslnicknames": "imap-crt"}), token)
    assert contexts.slots["imap"].current is before
    [problem] = contexts.problems()
    assert problem.startswith("imap: ")
    contexts.load(Configuration.of({}), token)
    assert contexts.problems() == []


def test_a_policy_that_contradicts_itself_leaves_the_old_one_in_force(
    token: InternalToken,
) -> None:
    contexts = ServiceContexts(ALPN)
    contexts.load(Configuration.of({}), token)
    before = contexts.slots["imap"].current
    wrong = Configuration.of({"local.imap.nsssl3ciphers": "rsa_rc4_40_md5"})
    assert contexts.load(wrong, token) == []
    assert contexts.slots["imap"].current is before
    [problem] = contexts.problems()
    assert problem.startswith("imap: local.imap.nsssl3ciphers = rsa_rc4_40_md5: ")
    with pytest.raises(ConfigurationError, match="RFC 7465"):
        ServiceContexts(ALPN).load(wrong, token)


def test_what_is_dangerous_or_was_asked_for_in_vain_is_warned_of(
    token: InternalToken, caplog: pytest.LogCaptureFixture
) -> None:
    contexts = ServiceContexts(ALPN)
    contexts.load(Configuration.of({"local.imap.sslnicknames": "imap-cert"}), token)
    assert contexts.warnings() == []
    ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256,rsa_null_md5"
    contexts.load(Configuration.of({"local.pop.nsssl3ciphers": ciphers}), token)
    [warning] = contexts.warnings()
    assert warning.startswith("pop: rsa_null_md5 is refused: must not: no encryption")
    assert "service=pop rsa_null_md5 is refused" in caplog.text


def test_a_changed_cipher_list_or_version_changes_only_its_service(token: InternalToken) -> None:
    contexts = ServiceContexts(ALPN)
    contexts.load(Configuration.of({}), token)
    listed = Configuration.of({"local.imap.nsssl3ciphers": "-ECDHE-ECDSA-CHACHA20-POLY1305"})
    assert contexts.load(listed, token) == ["imap"]
    newer = Configuration.of({"local.pop.tlsminversion": "TLSv1.3"})
    assert contexts.load(newer, token) == ["imap", "pop"]


def test_one_renewed_certificate_changes_only_the_services_that_present_it(
    token: InternalToken,
) -> None:
    contexts = ServiceContexts(ALPN)
    configuration = Configuration.of({"local.imap.sslnicknames": "imap-cert"})
    contexts.load(configuration, token)
    key, certificate = self_signed()
    token.replace("imap-cert", [certificate], key)
    assert contexts.load(configuration, token) == ["imap"]
    key, certificate = self_signed()
    token.replace("Server-Cert", [certificate], key)
    assert contexts.load(configuration, token) == ["imta", "pop", "http"]


def test_a_refused_certificate_is_a_problem_of_each_service_that_presents_it(
    token: InternalToken,
) -> None:
    contexts = ServiceContexts(ALPN)
    configuration = Configuration.of({"local.imap.sslnicknames": "imap-cert"})
    contexts.load(configuration, token)
    key, certificate = self_signed("other.example.test")
    token.replace("Server-Cert", [certificate], key)
    assert contexts.load(configuration, token) == []
    assert [problem.split(":")[0] for problem in contexts.problems()] == ["imta", "pop", "http"]
    assert {name: slot.refusals for name, slot in contexts.slots.items()} == {
        "imta": 1,
        "imap": 0,
        "pop": 1,
        "http": 1,
    }
