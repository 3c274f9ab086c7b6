"""Policies kept on disk, so that a restart forgets none (RFC 8461 section 5.1: a policy counts for
its whole `max_age`, whatever an attacker does to DNS or HTTPS meanwhile).

One file per domain, JSON, named after the SHA-256 digest of the domain's name and replaced
atomically. A file that cannot be read, or is none of ours, is passed over.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.errors import MtaStsError
from mailfront.outgoing.mta_sts.fetch import LARGEST_POLICY
from mailfront.outgoing.mta_sts.policy import Policy, parse_policy

_NAME = re.compile(r"[0-9a-f]{64}\.json")
_LARGEST_FILE = 2 * LARGEST_POLICY + 4096


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """A fetched policy, the id of the record that announced it, and when (seconds since 1970)."""

    domain: str
    identifier: str
    fetched: float
    policy: Policy

    @property
    def expires(self) -> float:
        """Until when it counts."""
        return self.fetched + self.policy.max_age


class PolicyFiles:
    """The files in one directory, which is made when the first is kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, most: int) -> Iterator[KeptPolicy]:
        """Yield every policy that is there, no more than `most`."""
        try:
            names = sorted(path.name for path in self._directory.iterdir())
        except OSError:
            return
        for name in [name for name in names if _NAME.fullmatch(name)][:most]:
            kept = self._read(self._directory / name)
            if kept is not None and self._path(kept.domain).name == name:
                yield kept

    def find(self, domain: str) -> KeptPolicy | None:
        """Return what is there of that domain."""
        kept = self._read(self._path(domain))
        return kept if kept is not None and kept.domain == domain else None

    def keep(self, kept: KeptPolicy) -> None:
        """Replace what is there of that domain. Raises `OSError`."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {
            "domain": kept.domain,
            "id": kept.identifier,
            "fetched": kept.fetched,
            "lines": kept.policy.lines,
        }
        write_durably(self._path(kept.domain), json.dumps(document).encode(), mode=0o600)

    def forget(self, domain: str) -> None:
        """Remove what is there of that domain, if anything is. Raises `OSError`."""
        self._path(domain).unlink(missing_ok=True)

    def _path(self, domain: str) -> Path:
        return self._directory / f"{hashlib.sha256(domain.encode()).hexdigest()}.json"

    def _read(self, path: Path) -> KeptPolicy | None:
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST_FILE)
            document = json.loads(content)
            domain, identifier = document["domain"], document["id"]
            fetched, lines = document["fetched"], document["lines"]
            policy = parse_policy("\n".join(lines).encode())
        except (OSError, ValueError, TypeError, KeyError, RecursionError, MtaStsError):
            return None
        texts = isinstance(domain, str) and isinstance(identifier, str)
        if not texts or not isinstance(fetched, int | float):
            return None
        return KeptPolicy(domain, identifier, float(fetched), policy)
