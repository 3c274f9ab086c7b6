"""What a service presents when a token is gone: the rest of its personality, else its fallback,
else nothing.

Takes a slot, the nicknames that options name, and a way to load some of them; returns whether the
slot changed and which modules do not sign though their tokens are there. Nothing is raised for a
token: the server and its other services go on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailfront.errors import KeystoreError, OperatorError, TokenError
from mailfront.keystore.keystore import CredentialSource
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.tls.personality import ContextSlot

Load = Callable[[Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`broken` are the libraries whose tokens are there, but whose keys do not sign for TLS."""

    changed: bool
    broken: frozenset[Path] = frozenset()


@dataclass(frozen=True, slots=True)
class _Named:
    nickname: str
    library: Path | None
    fault: str = ""

    @property
    def stays(self) -> bool:
        """Whether it needs no token."""
        return self.library is None and not self.fault


def load_personality_or_fallback(
    slot: ContextSlot,
    source: CredentialSource,
    wanted: Sequence[str],
    fallback: Sequence[str],
    load: Load,
) -> Outcome:
    """Load what is `wanted`, or what can be had of it, or else the `fallback`.

    Raises what `load` raises for other reasons than a token.
    """
    named = [_look_up(source, nickname) for nickname in wanted]
    faults = [each.fault for each in named if each.fault]
    broken: frozenset[Path] = frozenset()
    if not faults:
        try:
            changed = load(wanted)
        except TokenError as failure:
            faults = [str(failure)]
            broken = frozenset(each.library for each in named if each.library is not None)
        else:
            slot.degraded = False
            return Outcome(changed)
    rest = [each.nickname for each in named if each.stays] or list(fallback)
    return Outcome(_degrade(slot, "; ".join(dict.fromkeys(faults)), rest, load), broken)


def _look_up(source: CredentialSource, nickname: str) -> _Named:
    try:
        record = source.require(nickname)
        if record.token == INTERNAL_TOKEN and record.has_key:
            return _Named(nickname, None)
        return _Named(nickname, source.credentials(nickname).module)
    except TokenError as failure:
        return _Named(nickname, None, str(failure))
    except KeystoreError:
        # Not the fault of a token, and told by whoever loads it.
        return _Named(nickname, None)


def _degrade(slot: ContextSlot, fault: str, rest: Sequence[str], load: Load) -> bool:
    presented = f"presents {', '.join(rest)} alone" if rest else "answers no TLS handshakes"
    problem = f"{presented} until its token is back: {fault}"
    had = slot.current is not None
    slot.degrade(problem)
    changed = False
    try:
        if rest:
            changed = load(rest)
    except OperatorError as failure:
        rest, problem = (), f"{problem}; nor can the rest be presented: {failure}"
    if not rest:
        slot.withdraw()
        changed = had
    slot.problem = problem
    return changed
