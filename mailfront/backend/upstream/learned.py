"""What the upstreams of one service announce, and what clients are told of it before the login.

Takes what logins and probes learn; gives the words that all of them have. What was learned of a
mail host that is not asked for any more is let go when there are too many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from mailfront.configuration.upstream_list import Upstream

MOST_KNOWN = 1000

Offer = Callable[[Collection[bytes]], tuple[bytes, ...]]


class Learned:
    """`offer` makes the words of what each announces; `here` is what the store on this machine
    has, beside the login, as an upstream would announce it."""

    def __init__(self, offer: Offer, here: bytes) -> None:
        self._offer = offer
        self._here = here
        self._keeps_some_here = True
        self._configured: frozenset[Upstream] = frozenset()
        self._known: dict[Upstream, bytes] = {}
        self._asked_at: dict[Upstream, float] = {}
        self._words: tuple[bytes, ...] = ()

    def follow(self, configured: Collection[Upstream], *, keeps_some_here: bool) -> None:
        """These are the upstreams that options and map name now."""
        for upstream in self._configured - {*configured}:
            self._forget(upstream)
        self._configured = frozenset(configured)
        self._keeps_some_here = keeps_some_here
        self._choose()

    def note(self, upstream: Upstream, announced: bytes) -> None:
        """`upstream` announces this before the login; nothing, where it was not asked."""
        announced = announced.upper()
        if not announced or self._known.get(upstream) == announced:
            return
        if upstream not in self._known and len(self._known) >= MOST_KNOWN:
            self._forget(next(iter(self._known)))
        self._known[upstream] = announced
        self._choose()

    def asked(self, upstream: Upstream, now: float) -> None:
        """It is asked just now, whatever comes of it."""
        self._asked_at[upstream] = now

    def is_due(self, upstream: Upstream, now: float, seconds: float) -> bool:
        """Whether it was not asked for so long."""
        asked_at = self._asked_at.get(upstream)
        return asked_at is None or now - asked_at > seconds

    def offered(self) -> tuple[bytes, ...]:
        """The words; none where all mailboxes are here."""
        return self._words

    def _forget(self, upstream: Upstream) -> None:
        self._known.pop(upstream, None)
        self._asked_at.pop(upstream, None)

    def _choose(self) -> None:
        known = [*self._known.values()]
        if not known and not self._configured:
            self._words = ()
        else:
            self._words = self._offer([*known, self._here] if self._keeps_some_here else known)
