"""Which options decide the policy of a service, and what is said of contradictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.configuration.options.encryption import TLS_MAXIMA, TLS_MINIMA, TLS_PROFILES
from mailfront.configuration.registry import REGISTRY
from mailfront.errors import ConfigurationError
from mailfront.server.policies import DECIDING, policy_messages, policy_of
from mailfront.tls.policy import VERSION_NAMES, Policy
from mailfront.tls.profiles import PROFILES

LIST = "encryption.nsssl3ciphers"


def policy(options: dict[str, str], service: str = "imap") -> Policy:
    return policy_of(Configuration.of(options), service)


def test_the_options_know_every_profile_and_version() -> None:
    names = {profile.name for profile in PROFILES} | {profile.dated_name for profile in PROFILES}
    assert set(TLS_PROFILES) == names
    assert tuple(VERSION_NAMES) == TLS_MINIMA
    assert set(TLS_MAXIMA) < set(VERSION_NAMES)


def test_a_service_has_its_own_profile_or_that_of_all() -> None:
    options = {"encryption.tlsprofile": "modern", "local.pop.tlsprofile": "legacy"}
    assert policy(options).name == "modern-2026-11"
    assert policy(options, "pop").name == "legacy-2026-11"


def test_a_name_without_a_date_is_today_s() -> None:
    dated = policy({"encryption.tlsprofile": "intermediate-2026-11"})
    assert dated == policy({"encryption.tlsprofile": "intermediate"}) == policy({})


def test_list_and_versions_count_for_every_service_without_its_own() -> None:
    options = {
        LIST: "ECDHE-ECDSA-AES128-GCM-SHA256",
        "encryption.tlsmaxversion": "TLSv1.2",
        "local.pop.nsssl3ciphers": "ECDHE-RSA-AES128-GCM-SHA256",
        "local.pop.tlsmaxversion": "TLSv1.3",
    }
    imap, pop = policy(options), policy(options, "pop")
    assert [suite.name for suite in imap.suites] == ["ECDHE-ECDSA-AES128-GCM-SHA256"]
    assert [suite.name for suite in pop.suites] == ["ECDHE-RSA-AES128-GCM-SHA256"]
    assert (imap.versions, pop.versions) == (("TLSv1.2",), ("TLSv1.2", "TLSv1.3"))


def test_a_service_with_its_own_profile_starts_afresh_from_it() -> None:
    options = {
        LIST: "ECDHE-ECDSA-AES128-GCM-SHA256",
        "encryption.tlsminversion": "TLSv1.2",
        "local.http.tlsprofile": "modern",
    }
    http = policy(options, "http")
    assert http.versions == ("TLSv1.3",)
    assert http.refused == ()


def test_old_versions_are_a_matter_of_one_service() -> None:
    options = {"local.pop.tlsprofile": "legacy", "local.pop.tlsminversion": "TLSv1.0"}
    assert policy(options, "pop").has_old_versions
    assert "RFC 8996" in policy(options, "pop").warnings()[0]
    assert not policy(options, "imap").has_old_versions
    assert policy(options, "imap").warnings() == []


@pytest.mark.parametrize(
    ("option", "text", "what"),
    [
        ("local.imap.tlsminversion", "TLSv1.0", "intermediate does not go below TLSv1.2"),
        (LIST, "rsa_rc4_128_md5,rsa_des_sha", "leaves no suite for TLS 1.2 (rsa_rc4_128_md5 is"),
        (LIST, "+rsa_rc4_128_mdd", "unknown cipher 'rsa_rc4_128_mdd'"),
    ],
)
def test_a_contradiction_names_the_option_and_its_line(
    tmp_path: Path, option: str, text: str, what: str
) -> None:
    msg_conf = tmp_path / "msg.conf"
    msg_conf.write_text(f"# a comment\n{option} = {text}\n")
    with pytest.raises(ConfigurationError) as caught:
        policy_of(load_configuration(msg_conf), "imap")
    assert caught.value.what.startswith(f"{option} = {text}: ")
    assert what in caught.value.what
    assert caught.value.line == 2
    assert caught.value.remedy


def test_the_messages_about_all_services_are_told_once() -> None:
    assert policy_messages(Configuration.of({})) == []
    options = {
        LIST: "ECDHE-RSA-AES128-GCM-SHA256,rsa_des_sha",
        "local.pop.tlsminversion": "TLSv1.0",
    }
    refused, contradiction = policy_messages(Configuration.of(options))
    assert refused.startswith("rsa_des_sha is refused: ")
    assert contradiction.startswith("local.pop.tlsminversion = TLSv1.0: ")


def test_each_deciding_option_exists_for_all_and_for_each_service() -> None:
    for name in DECIDING:
        assert {f"{owner}.{name}" for owner in ("encryption", "local.imta", "local.http")} <= set(
            REGISTRY.names()
        )


def test_an_empty_range_of_versions_is_refused() -> None:
    options = {"local.imap.tlsprofile": "modern", "local.imap.tlsmaxversion": "TLSv1.2"}
    with pytest.raises(ConfigurationError, match=r"tlsmaxversion = TLSv1\.2: no TLS version") as it:
        policy(options)
    assert it.value.remedy == "the profile modern begins at TLSv1.3"
