"""The TLS policy of each service, out of the options that decide it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.options.encryption import SERVICES
from mailfront.errors import ConfigurationError
from mailfront.tls.policy import Policy, choose_suites, choose_versions, make_policy
from mailfront.tls.profiles import profile_named

DECIDING = ("tlsprofile", "nsssl3ciphers", "tlsminversion", "tlsmaxversion")
"""The last parts of the names of the options that decide a policy."""

_Decision = TypeVar("_Decision")


def policy_of(configuration: Configuration, service: str) -> Policy:
    """The TLS policy of `service`.

    A service with a profile of its own has only its own cipher list and versions: those of
    `encryption.*` were written for another profile. Raises `ConfigurationError`, with the option
    and its line, when options contradict each other or a cipher list is wrong.
    """
    profile_option = _deciding(configuration, service, "tlsprofile")
    list_option = _deciding(configuration, service, "nsssl3ciphers")
    minimum_option = _deciding(configuration, service, "tlsminversion")
    maximum_option = _deciding(configuration, service, "tlsmaxversion")
    profile = _decided(
        configuration, profile_option, lambda: profile_named(configuration.string(profile_option))
    )
    minimum = configuration.string(minimum_option)
    versions = _decided(
        configuration,
        minimum_option if minimum else maximum_option,
        lambda: choose_versions(profile, minimum, configuration.string(maximum_option)),
    )
    choice = _decided(
        configuration,
        list_option,
        lambda: choose_suites(profile, versions, configuration.string(list_option)),
    )
    return make_policy(profile, versions, choice)


def policy_messages(configuration: Configuration) -> list[str]:
    """What is wrong with, or to be warned of in, the policies of all services; each once."""
    found: dict[str, None] = {}
    for service in SERVICES:
        try:
            told = policy_of(configuration, service).warnings()
        except ConfigurationError as failure:
            told = [str(failure)]
        found.update(dict.fromkeys(told))
    return list(found)


def _deciding(configuration: Configuration, service: str, name: str) -> str:
    own = f"local.{service}.{name}"
    has_profile = configuration.string(f"local.{service}.tlsprofile")
    return own if has_profile or configuration.string(own) else f"encryption.{name}"


def _decided(
    configuration: Configuration, option: str, decide: Callable[[], _Decision]
) -> _Decision:
    try:
        return decide()
    except ConfigurationError as failure:
        raise ConfigurationError(
            f"{option} = {configuration.string(option)}: {failure.what}",
            remedy=failure.remedy,
            line=configuration.line_of(option),
        ) from failure
