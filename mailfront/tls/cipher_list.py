"""A list of cipher suites as an operator writes it: which suites it asks for, which it is refused.

The syntax is the original's (`+name,-name,all`), with commas or colons between the items; names are
those of `ciphers`, in any of the three systems. Items act from left to right. A list whose first
item begins with `-` starts from the profile's suites, any other from nothing. The suites of TLS 1.3
have no names in the original's lists: they stay the profile's unless a list names one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailfront.configuration.suggest import did_you_mean
from mailfront.errors import ConfigurationError
from mailfront.tls.ciphers import Suite, find_suite, known_names

ALL = "all"
_LONGEST_NAME_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """A suite that was asked for by `name` and is not offered, and the `reason`."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} is refused: {self.reason}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The suites up to TLS 1.2 and of TLS 1.3 in order, and what was asked for in vain."""

    suites: tuple[Suite, ...]
    tls13_suites: tuple[Suite, ...]
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    adds: bool
    suite: Suite | None
    """None for `all`, or for a name that only the linked OpenSSL knows."""


def choose(
    text: str,
    *,
    start: Sequence[Suite],
    everything: Sequence[Suite],
    refusal: Callable[[Suite], str],
    foreign: frozenset[str] = frozenset(),
) -> Choice:
    """Apply the list `text`.

    `start` is the profile's list, `everything` what `all` stands for, both with TLS 1.3; `refusal`
    gives the reason why a suite may not be offered, or an empty text; `foreign` holds OpenSSL's
    names of suites for which mailfront has no use. Raises `ConfigurationError` for an item that is
    empty or has an unknown name, with the nearest known one.
    """
    items = [_item(part, foreign) for part in re.split("[,:]", text)] if text.strip() else []
    if not items:
        return _divided(start, ())
    chosen = list(start)
    if items[0].adds:
        names_tls13 = any(item.adds and item.suite and item.suite.is_tls13 for item in items)
        chosen = [] if names_tls13 else [suite for suite in start if suite.is_tls13]
    refused: dict[str, Refusal] = {}
    for item in items:
        if item.name.lower() == ALL:
            _apply_all(chosen, everything, adds=item.adds)
        elif item.suite is None:
            if item.adds:
                reason = "mailfront has no pre-shared keys and no SRP"
                refused.setdefault(item.name, Refusal(item.name, reason))
        elif not item.adds:
            chosen = [suite for suite in chosen if suite != item.suite]
        elif reason := refusal(item.suite):
            refused.setdefault(item.name, Refusal(item.name, reason))
        elif item.suite not in chosen:
            chosen.append(item.suite)
    return _divided(chosen, tuple(refused.values()))


def _divided(suites: Sequence[Suite], refused: tuple[Refusal, ...]) -> Choice:
    return Choice(
        tuple(suite for suite in suites if not suite.is_tls13),
        tuple(suite for suite in suites if suite.is_tls13),
        refused,
    )


def _apply_all(chosen: list[Suite], everything: Sequence[Suite], *, adds: bool) -> None:
    """`all` means the suites that the original's lists can name: those before TLS 1.3."""
    if adds:
        chosen += [suite for suite in everything if not suite.is_tls13 and suite not in chosen]
    else:
        chosen[:] = [suite for suite in chosen if suite.is_tls13]


def _item(part: str, foreign: frozenset[str]) -> _Item:
    text = part.strip()
    adds = not text.startswith("-")
    name = text[1:].strip() if text[:1] in {"+", "-"} else text
    if not name:
        raise ConfigurationError(
            "an item of the cipher list is empty", remedy="look for a comma or a sign too many"
        )
    suite = find_suite(name)
    if suite is None and name.lower() != ALL and name.upper() not in foreign:
        raise ConfigurationError(
            f"unknown cipher {name[:_LONGEST_NAME_SHOWN]!r}",
            remedy=did_you_mean(
                name,
                (ALL, *known_names()),
                otherwise="names of single suites are taken, not OpenSSL's classes; "
                "`mailfront ciphers --table` lists them",
            ),
        )
    return _Item(name, adds, suite)
