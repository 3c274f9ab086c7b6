"""Policies: how a profile, a cipher list and bounds of the version become one, and a context."""

from __future__ import annotations

import ssl
import warnings

import pytest

from mailfront.errors import ConfigurationError
from mailfront.tls import openssl
from mailfront.tls.ciphers import suite_named
from mailfront.tls.openssl import Setting
from mailfront.tls.policy import (
    Policy,
    apply_policy,
    choose_suites,
    choose_versions,
    group_list,
    make_policy,
    policy_named,
    standing,
)
from mailfront.tls.profiles import PROFILES, profile_named


def context_of(policy: Policy) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    apply_policy(policy, context)
    return context


def applied(name: str) -> ssl.SSLContext:
    return context_of(policy_named(name))


def suites(context: ssl.SSLContext) -> set[str]:
    return {str(cipher["name"]) for cipher in context.get_ciphers()}


@pytest.mark.parametrize(
    ("name", "minimum"),
    [
        ("modern", ssl.TLSVersion.TLSv1_3),
        ("intermediate", ssl.TLSVersion.TLSv1_2),
        ("legacy", ssl.TLSVersion.TLSv1_2),
    ],
)
def test_no_profile_goes_below_tls_1_2(name: str, minimum: ssl.TLSVersion) -> None:
    assert applied(name).minimum_version == minimum


def test_intermediate_has_forward_secrecy_and_aead_only() -> None:
    for suite in suites(applied("intermediate")):
        assert suite.startswith(("TLS_", "ECDHE-"))
        assert "GCM" in suite or "CHACHA20" in suite


def test_legacy_adds_suites_for_old_clients() -> None:
    legacy = suites(applied("legacy"))
    assert suites(applied("intermediate")) < legacy
    assert "AES128-SHA" in legacy
    assert not any("RC4" in suite or "DES" in suite or "NULL" in suite for suite in legacy)


@pytest.mark.parametrize("name", [profile.name for profile in PROFILES])
def test_every_profile_forbids_renegotiation_and_compression(name: str) -> None:
    options = applied(name).options
    assert options & ssl.OP_NO_RENEGOTIATION
    assert options & ssl.OP_NO_COMPRESSION
    assert options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="use one of: modern, intermediate, legacy"):
        policy_named("paranoid")


def decided(name: str, ciphers: str = "", minimum: str = "", maximum: str = "") -> Policy:
    profile = profile_named(name)
    versions = choose_versions(profile, minimum, maximum)
    return make_policy(profile, versions, choose_suites(profile, versions, ciphers))


def test_a_policy_carries_its_dated_name_and_can_be_compared() -> None:
    assert policy_named("modern").name == "modern-2026-11"
    assert policy_named("modern") == policy_named("modern-2026-11") == decided("modern")
    assert len({decided("legacy"), decided("legacy"), decided("legacy", "-AES256-SHA")}) == 2


@pytest.mark.parametrize(
    ("name", "minimum", "maximum", "versions"),
    [
        ("modern", "", "", ("TLSv1.3",)),
        ("intermediate", "", "", ("TLSv1.2", "TLSv1.3")),
        ("intermediate", "TLSv1.3", "", ("TLSv1.3",)),
        ("intermediate", "", "TLSv1.2", ("TLSv1.2",)),
        ("legacy", "", "", ("TLSv1.2", "TLSv1.3")),
        ("legacy", "TLSv1.1", "", ("TLSv1.1", "TLSv1.2", "TLSv1.3")),
        ("legacy", "TLSv1.0", "TLSv1.2", ("TLSv1.0", "TLSv1.1", "TLSv1.2")),
    ],
)
def test_versions_move_within_the_profile(
    name: str, minimum: str, maximum: str, versions: tuple[str, ...]
) -> None:
    assert decided(name, minimum=minimum, maximum=maximum).versions == versions


@pytest.mark.parametrize(
    ("name", "minimum", "maximum", "remedy"),
    [
        ("modern", "TLSv1.2", "", "the profile intermediate does"),
        ("modern", "", "TLSv1.2", "the profile modern begins at TLSv1.3"),
        ("intermediate", "TLSv1.1", "", "only the profile legacy may"),
        ("intermediate", "TLSv1.3", "TLSv1.2", "the profile intermediate begins at TLSv1.2"),
    ],
)
def test_versions_that_contradict_the_profile_are_refused(
    name: str, minimum: str, maximum: str, remedy: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decided(name, minimum=minimum, maximum=maximum)
    assert caught.value.remedy.startswith(remedy)


def test_old_versions_are_warned_of_and_need_the_lowest_security_level() -> None:
    policy = decided("legacy", minimum="TLSv1.0")
    warning, of_suites = policy.warnings()
    assert of_suites.startswith("10 suites of the legacy profile are enabled, from ECDHE-ECDSA-AES")
    assert decided("legacy").warnings() == [of_suites]
    assert decided("legacy", minimum="TLSv1.3").warnings() == []
    assert warning.startswith("TLSv1.0 is enabled, which RFC 8996 forbids")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = context_of(policy)
    assert context.security_level == 0
    assert context_of(policy_named("legacy")).security_level == 2


def test_the_list_s_order_is_the_server_s() -> None:
    policy = decided("intermediate", "ECDHE-RSA-AES256-GCM-SHA384,ECDHE-RSA-AES128-GCM-SHA256")
    names = [str(cipher["name"]) for cipher in context_of(policy).get_ciphers()]
    assert [name for name in names if not name.startswith("TLS_")] == [
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ]


def test_what_is_refused_stays_with_the_policy() -> None:
    policy = decided("intermediate", "ECDHE-RSA-AES128-GCM-SHA256,rsa_aes_128_sha,rsa_null_md5")
    assert [each.name for each in policy.refused] == ["rsa_aes_128_sha", "rsa_null_md5"]
    assert all("is refused: " in warning for warning in policy.warnings())


@pytest.mark.parametrize("ciphers", ["-all", "rsa_null_md5", "TLS_AES_128_GCM_SHA256"])
def test_a_version_without_any_suite_is_refused(ciphers: str) -> None:
    with pytest.raises(ConfigurationError, match=r"leaves no suite for TLS 1\.2") as caught:
        decided("intermediate", ciphers)
    assert "TLSv1.3" in caught.value.remedy
    assert decided("intermediate", "TLS_AES_128_GCM_SHA256", minimum="TLSv1.3").versions


def test_the_original_s_default_list_is_refused_as_a_whole_with_every_reason() -> None:
    original = "rsa_rc4_40_md5,rsa_rc2_40_md5,rsa_des_sha,rsa_rc4_128_md5,rsa_3des_sha"
    with pytest.raises(ConfigurationError) as caught:
        decided("intermediate", original)
    for name in original.split(","):
        assert f"{name} is refused" in caught.value.what


def test_tls_1_3_without_any_suite_is_refused() -> None:
    every = ",".join(f"-{suite.name}" for suite in profile_named("modern").tls13_suites)
    with pytest.raises(ConfigurationError, match=r"leaves no suite for TLS 1\.3"):
        decided("intermediate", every)
    assert decided("intermediate", every, maximum="TLSv1.2").versions == ("TLSv1.2",)


def test_what_the_linked_openssl_lacks_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssl, "implemented_suites", lambda: frozenset({"AES128-SHA"}))
    monkeypatch.setattr(openssl, "linked_version", lambda: "OpenSSL 9.9.9")
    policy = decided("legacy", "rsa_aes_128_sha,rsa_3des_sha")
    assert [suite.name for suite in policy.suites] == ["AES128-SHA"]
    assert policy.refused[0].reason.startswith("OpenSSL 9.9.9 lacks it (should not: Triple DES")
    assert "ECDHE-RSA-AES128-GCM-SHA256" in policy.lacking


def test_the_hybrid_group_is_offered_exactly_where_openssl_has_it() -> None:
    policy = policy_named("intermediate")
    has_it = openssl.implements(Setting.GROUPS, "X25519MLKEM768")
    assert (policy.groups[0] == ("X25519MLKEM768",)) is has_it
    assert ("X25519MLKEM768" in policy.lacking) is not has_it
    assert group_list(policy).replace("/", ":").endswith("X25519:P-256:P-384")


def test_without_the_bridge_a_context_is_still_made_and_a_changed_list_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openssl, "available", lambda setting: False)
    policy = decided("intermediate", "-TLS_AES_256_GCM_SHA384")
    assert {suite.name for suite in policy.tls13_suites} == set(openssl.default_tls13_suites())
    [refused] = policy.refused
    assert refused.name == "the choice of TLS 1.3 suites"
    assert decided("intermediate").refused == ()
    assert "TLS_AES_256_GCM_SHA384" in suites(context_of(policy))


def test_an_answer_of_openssl_that_is_no_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = policy_named("intermediate")
    monkeypatch.setattr(openssl, "available", lambda setting: True)
    monkeypatch.setattr(openssl, "apply", lambda setting, context, text: False)
    with pytest.raises(ConfigurationError, match=r"OpenSSL refuses the TLS 1\.3 suites"):
        context_of(policy)


@pytest.mark.parametrize(
    ("name", "suite", "expected"),
    [
        ("intermediate", "ECDHE-ECDSA-AES128-GCM-SHA256", "offered, number 4"),
        ("intermediate", "rsa_null_md5", "must not: no encryption (RFC 9325 section 4.1)"),
        ("legacy", "AES256-SHA256", "permitted, but neither the profile nor the cipher list"),
        ("modern", "AES128-SHA", "profile modern has TLS 1.3 alone"),
    ],
)
def test_a_suite_s_standing_is_explained(name: str, suite: str, expected: str) -> None:
    offered, text = standing(policy_named(name), suite_named(suite))
    assert offered is expected.startswith("offered")
    assert text.startswith(expected)


def test_a_suite_whose_version_is_off_is_not_offered() -> None:
    policy = decided("intermediate", minimum="TLSv1.3")
    suite = suite_named("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert standing(policy, suite) == (False, "not offered: the versions that have it are off")
