"""The profiles: names and dates, what each permits, what each offers."""

from __future__ import annotations

import ssl

import pytest

from mailfront.errors import ConfigurationError
from mailfront.tls.ciphers import Fate, suite_named
from mailfront.tls.profiles import PROFILES, Profile, profile_named

each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.dated_name)


def test_a_name_without_a_date_is_the_newest_profile_of_that_name() -> None:
    assert profile_named("intermediate") is profile_named("intermediate-2026-11")
    newest = {profile.name: profile for profile in PROFILES}
    assert all(profile_named(name) is profile for name, profile in newest.items())


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        profile_named("paranoid")
    assert caught.value.remedy == "use one of: modern, intermediate, legacy"


@each_profile
def test_a_profile_permits_what_it_offers(profile: Profile) -> None:
    for suite in profile.suites + profile.tls13_suites:
        assert profile.refusal(suite) == ""
    assert profile.minimum_version >= profile.lowest_version
    assert profile.reason


@each_profile
def test_everything_is_the_profile_s_own_in_order_and_then_the_rest(profile: Profile) -> None:
    own = (*profile.suites, *profile.tls13_suites)
    everything = profile.everything()
    assert everything[: len(own)] == own
    assert len(set(everything)) == len(everything)
    assert not [suite for suite in everything if suite.fate is Fate.NEVER]


@each_profile
def test_suites_with_ecdsa_stand_before_those_with_rsa_of_the_same_kind(profile: Profile) -> None:
    for kind in (Fate.GOOD, Fate.LEGACY):
        order = [suite.authentication for suite in profile.suites if suite.fate is kind]
        assert order == sorted(order)
    assert profile.signature_algorithms[0].startswith("ecdsa_")


@each_profile
def test_the_hybrid_group_is_the_first_and_no_signature_uses_sha_1(profile: Profile) -> None:
    assert profile.groups[0] == ("X25519MLKEM768",)
    assert profile.groups[1][0] == "X25519"
    assert not [name for name in profile.signature_algorithms if name.endswith("sha1")]


def test_only_legacy_permits_what_lacks_forward_secrecy_or_aead() -> None:
    suite = suite_named("rsa_aes_128_sha")
    refused = profile_named("intermediate").refusal(suite)
    assert refused.startswith("should not: static RSA")
    assert refused.endswith("only the profile legacy permits it")
    assert profile_named("legacy").refusal(suite) == ""


def test_modern_permits_suites_of_tls_1_3_alone() -> None:
    modern = profile_named("modern")
    assert modern.suites == ()
    assert "TLS 1.3 alone" in modern.refusal(suite_named("ECDHE-RSA-AES128-GCM-SHA256"))
    assert all(suite.is_tls13 for suite in modern.everything())


def test_only_legacy_may_go_below_tls_1_2_and_not_by_itself() -> None:
    assert {profile.name: profile.lowest_version for profile in PROFILES} == {
        "modern": ssl.TLSVersion.TLSv1_3,
        "intermediate": ssl.TLSVersion.TLSv1_2,
        "legacy": ssl.TLSVersion.TLSv1,
    }
    assert profile_named("legacy").minimum_version == ssl.TLSVersion.TLSv1_2
