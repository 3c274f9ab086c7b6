"""Which names in a certificate stand for a host: one rule to choose, to prove and to check by."""

from __future__ import annotations

from collections.abc import Iterator


def patterns_for(name: str) -> Iterator[str]:
    """The names that a certificate for the host `name` may have: itself, or with `*` for its
    left-most label and that label alone (RFC 9525 section 6.3)."""
    name = name.lower()
    yield name
    _, _, parent = name.partition(".")
    if parent:
        yield f"*.{parent}"
