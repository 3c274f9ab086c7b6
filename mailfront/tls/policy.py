"""Which protocol versions, suites, groups and signature algorithms a service accepts, and why.

One place decides for every service: a profile, changed by a cipher list and by bounds of the
version, becomes a `Policy`, and a policy is what a context is set to. What OpenSSL here lacks, and
what was asked for and is refused, is part of the policy, so that it can be told.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from mailfront.errors import ConfigurationError
from mailfront.tls import openssl
from mailfront.tls.cipher_list import Choice, Refusal, choose
from mailfront.tls.ciphers import Fate, Suite
from mailfront.tls.openssl import Setting
from mailfront.tls.profiles import Profile, profile_named

VERSION_NAMES = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
"""Versions as options and `ssl.SSLObject.version` (but for its `TLSv1`) write them."""

# OpenSSL signs with SHA-1, as TLS 1.0 and 1.1 prescribe, at security level 0 only.
_SECURITY_LEVEL = 2
_SECURITY_LEVEL_OF_OLD_VERSIONS = 0
_TIERS_OF_GROUPS_SINCE = (3, 5)


def version_name(version: ssl.TLSVersion) -> str:
    """The name of a version as options write it."""
    return next(name for name, known in VERSION_NAMES.items() if known == version)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a context is set to. Lists are in the server's order, best first.

    `suites` are those up to TLS 1.2. `lacking` holds what the profile has and this OpenSSL has not;
    `refused` what the operator asked for in vain.
    """

    name: str
    reason: str
    minimum_version: ssl.TLSVersion
    maximum_version: ssl.TLSVersion
    suites: tuple[Suite, ...]
    tls13_suites: tuple[Suite, ...]
    groups: tuple[tuple[str, ...], ...]
    signature_algorithms: tuple[str, ...]
    lacking: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """The names of the versions, oldest first."""
        return tuple(
            name
            for name, version in VERSION_NAMES.items()
            if self.minimum_version <= version <= self.maximum_version
        )

    @property
    def effective_suites(self) -> tuple[Suite, ...]:
        """Every suite that a client can get, in order, those of TLS 1.3 first."""
        newest = self.tls13_suites if "TLSv1.3" in self.versions else ()
        return newest + (self.suites if self.minimum_version < ssl.TLSVersion.TLSv1_3 else ())

    @property
    def has_old_versions(self) -> bool:
        """Whether TLS 1.0 or 1.1 is enabled."""
        return self.minimum_version < ssl.TLSVersion.TLSv1_2

    @property
    def dangers(self) -> tuple[str, ...]:
        """What the operator asked for that puts clients at risk."""
        dangers = []
        if self.has_old_versions:
            dangers.append(
                f"{version_name(self.minimum_version)} is enabled, which RFC 8996 forbids: every "
                "client may be attacked through it; disable it as soon as the old ones are gone"
            )
        old = [suite for suite in self.effective_suites if suite.fate is Fate.LEGACY]
        if old:
            dangers.append(
                f"{len(old)} suites of the legacy profile are enabled, from {old[0].name} to "
                f"{old[-1].name}, without authenticated encryption or forward secrecy "
                "(RFC 9325 section 4.1); choose the profile intermediate as soon as clients allow"
            )
        return tuple(dangers)

    def warnings(self) -> list[str]:
        """What an operator must be told: what is dangerous, and what was asked for in vain."""
        return [*self.dangers, *map(str, self.refused)]


@dataclass(frozen=True, slots=True)
class Versions:
    """The oldest and the newest protocol version."""

    minimum: ssl.TLSVersion
    maximum: ssl.TLSVersion


def choose_versions(profile: Profile, minimum: str = "", maximum: str = "") -> Versions:
    """The versions of `profile` within the bounds that were asked for (empty: the profile's own).

    Raises `ConfigurationError` when they contradict the profile or each other.
    """
    lowest = VERSION_NAMES[minimum] if minimum else profile.minimum_version
    highest = VERSION_NAMES[maximum] if maximum else ssl.TLSVersion.TLSv1_3
    if lowest < profile.lowest_version:
        raise ConfigurationError(
            f"the TLS profile {profile.name} does not go below "
            f"{version_name(profile.lowest_version)}",
            remedy=_remedy_for_old_version(lowest),
        )
    if highest < lowest:
        raise ConfigurationError(
            f"no TLS version is left between {version_name(lowest)} and {version_name(highest)}",
            remedy=f"the profile {profile.name} begins at {version_name(profile.minimum_version)}",
        )
    return Versions(lowest, highest)


def _remedy_for_old_version(wanted: ssl.TLSVersion) -> str:
    if wanted < ssl.TLSVersion.TLSv1_2:
        return "only the profile legacy may (RFC 8996 forbids TLS 1.0 and 1.1)"
    return "the profile intermediate does"


def choose_suites(profile: Profile, versions: Versions, cipher_list: str = "") -> Choice:
    """The suites of `profile`, changed by `cipher_list` (syntax: `tls.cipher_list`).

    Raises `ConfigurationError` for an unknown name, and when a version would be left without any.
    """
    foreign = frozenset(name.upper() for name in openssl.implemented_suites())
    choice = choose(
        cipher_list,
        start=tuple(suite for suite in (*profile.suites, *profile.tls13_suites) if _here(suite)),
        everything=tuple(suite for suite in profile.everything() if _here(suite)),
        refusal=lambda suite: profile.refusal(suite) or _lack(suite),
        foreign=foreign,
    )
    if not openssl.available(Setting.TLS13_SUITES):
        choice = _with_fixed_tls13(choice, profile, changed=bool(cipher_list.strip()))
    _require_suites(choice, versions)
    return choice


def _with_fixed_tls13(choice: Choice, profile: Profile, *, changed: bool) -> Choice:
    fixed = tuple(
        suite for suite in profile.everything() if suite.name in openssl.default_tls13_suites()
    )
    refused = choice.refused
    if changed and set(choice.tls13_suites) != set(profile.tls13_suites):
        refused += (
            Refusal("the choice of TLS 1.3 suites", "this Python cannot set them; all are offered"),
        )
    return Choice(choice.suites, fixed, refused)


def _require_suites(choice: Choice, versions: Versions) -> None:
    reasons = "; ".join(map(str, choice.refused))
    if versions.minimum < ssl.TLSVersion.TLSv1_3 and not choice.suites:
        raise ConfigurationError(
            "the cipher list leaves no suite for TLS 1.2" + (f" ({reasons})" if reasons else ""),
            remedy="name one that the profile permits (`mailfront ciphers` lists them), or set the "
            "least version to TLSv1.3",
        )
    if versions.maximum >= ssl.TLSVersion.TLSv1_3 and not choice.tls13_suites:
        raise ConfigurationError(
            "the cipher list leaves no suite for TLS 1.3" + (f" ({reasons})" if reasons else ""),
            remedy="name one, or set the greatest version to TLSv1.2",
        )


def _here(suite: Suite) -> bool:
    return not _lack(suite)


def _lack(suite: Suite) -> str:
    """What stands in the way of the suite in the OpenSSL that is linked here."""
    if suite.is_tls13:
        known = (
            openssl.implements(Setting.TLS13_SUITES, suite.openssl)
            if openssl.available(Setting.TLS13_SUITES)
            else suite.openssl in openssl.default_tls13_suites()
        )
    else:
        known = suite.openssl in openssl.implemented_suites()
    return "" if known else f"{openssl.linked_version()} lacks it ({suite.reason})"


def make_policy(profile: Profile, versions: Versions, choice: Choice) -> Policy:
    """The policy of these decisions, as far as the linked OpenSSL can follow."""
    groups, missing_groups = _implemented_groups(profile)
    algorithms = _filter(Setting.SIGNATURE_ALGORITHMS, profile.signature_algorithms)
    missing = [suite.name for suite in profile.suites + profile.tls13_suites if _lack(suite)]
    missing += missing_groups
    missing += [name for name in profile.signature_algorithms if name not in algorithms]
    return Policy(
        name=profile.dated_name,
        reason=profile.reason,
        minimum_version=versions.minimum,
        maximum_version=versions.maximum,
        suites=choice.suites,
        tls13_suites=choice.tls13_suites,
        groups=groups,
        signature_algorithms=algorithms,
        lacking=tuple(missing),
        refused=choice.refused,
    )


def _implemented_groups(profile: Profile) -> tuple[tuple[tuple[str, ...], ...], list[str]]:
    tiers = [_filter(Setting.GROUPS, tier) for tier in profile.groups]
    kept = {name for tier in tiers for name in tier}
    return tuple(filter(None, tiers)), [
        name for tier in profile.groups for name in tier if name not in kept
    ]


def _filter(setting: Setting, names: tuple[str, ...]) -> tuple[str, ...]:
    if not openssl.available(setting):
        return names
    return tuple(name for name in names if openssl.implements(setting, name))


def standing(policy: Policy, suite: Suite) -> tuple[bool, str]:
    """Whether a client can get `suite` under `policy`, and its place or the reason why not."""
    if suite in policy.effective_suites:
        return True, f"offered, number {policy.effective_suites.index(suite) + 1}"
    profile = profile_named(policy.name)
    if reason := profile.refusal(suite) or _lack(suite):
        return False, reason
    if suite in policy.suites + policy.tls13_suites:
        return False, "not offered: the versions that have it are off"
    return False, "permitted, but neither the profile nor the cipher list names it"


def policy_named(name: str) -> Policy:
    """The policy of the profile `name` as it is. Raises `ConfigurationError` for an unknown one."""
    profile = profile_named(name)
    versions = choose_versions(profile)
    return make_policy(profile, versions, choose_suites(profile, versions))


def apply_policy(policy: Policy, context: ssl.SSLContext) -> None:
    """Set a server context to `policy`.

    No compression, renegotiation or early data (OpenSSL's default for a server, RFC 8446 section
    8); the server's order counts, but for ChaCha20 when a client puts it first; no session is
    kept in memory, where a client could fill it. Raises `ConfigurationError` if OpenSSL refuses.
    """
    level = _SECURITY_LEVEL_OF_OLD_VERSIONS if policy.has_old_versions else _SECURITY_LEVEL
    context.minimum_version = policy.minimum_version
    context.maximum_version = policy.maximum_version
    # OpenSSL wants a suite of TLS 1.2 even where that version is off.
    names = [suite.openssl for suite in policy.suites] or ["ECDHE+AESGCM"]
    context.set_ciphers(":".join((*names, f"@SECLEVEL={level}")))
    context.options |= (
        ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_RENEGOTIATION
        | ssl.OP_CIPHER_SERVER_PREFERENCE
        | openssl.OP_PRIORITIZE_CHACHA
    )
    for setting, text in (
        (Setting.TLS13_SUITES, ":".join(suite.openssl for suite in policy.tls13_suites)),
        (Setting.GROUPS, group_list(policy)),
        (Setting.SIGNATURE_ALGORITHMS, ":".join(policy.signature_algorithms)),
        (Setting.NO_SESSION_CACHE, ""),
    ):
        if openssl.available(setting) and not openssl.apply(setting, context, text):
            raise ConfigurationError(f"OpenSSL refuses the {setting.value}: {text}")


def group_list(policy: Policy) -> str:
    """The groups in OpenSSL's notation; its older versions know no tiers."""
    divider = "/" if ssl.OPENSSL_VERSION_INFO[:2] >= _TIERS_OF_GROUPS_SINCE else ":"
    return divider.join(":".join(tier) for tier in policy.groups)
