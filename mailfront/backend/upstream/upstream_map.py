"""`config/upstream_map`: which server holds the mailbox of an address, or of all of a domain.

A line each: an address or `@domain`, blanks, and URLs divided by commas as in
`service.imap.upstream`, those for IMAP and those for POP3 in one list; `embedded:` stands alone. A
service that a line does not name goes where it goes for everybody. `#` begins a comment; nothing
may stand twice. Takes the file, gives a table; raises `ConfigurationProblems` with file and line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.upstream_list import EMBEDDED, Upstream, parse_upstreams
from mailfront.errors import AddressError, ConfigurationError, ConfigurationProblems
from mailfront.protocol.mail_address import canonical_address, canonical_domain

PROTOCOLS = ("imap", "pop")
LARGEST = 64 * 1024 * 1024
_MOST_PROBLEMS = 50
_REMEDY = "write an address or @domain, blanks, and URLs as in service.imap.upstream"

Targets = Mapping[str, tuple[Upstream, ...]]
HERE: tuple[Upstream, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamMap:
    """Where the sessions of an address go, by protocol; an empty tuple is the store here."""

    entries: Mapping[str, Targets] = field(default_factory=dict)

    def find(self, user: str, protocol: str) -> tuple[Upstream, ...] | None:
        """Return the upstreams of `user` (canonical), `HERE`, or None where no line says."""
        if not self.entries:
            return None
        for key in (user, user[user.rfind("@") :]):
            targets = self.entries.get(key)
            if targets is not None and protocol in targets:
                return targets[protocol]
        return None

    def targets(self, protocol: str) -> set[tuple[Upstream, ...]]:
        """Every list of upstreams that a line has for `protocol`."""
        return {each[protocol] for each in self.entries.values() if protocol in each}


def load_upstream_map(path: Path) -> UpstreamMap:
    """Return the table of a file; an empty one if there is no file."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        return UpstreamMap()
    except OSError as failure:
        raise ConfigurationError(f"cannot be read: {failure.strerror}", file=path) from failure
    if len(content) > LARGEST:
        raise ConfigurationError(f"larger than {LARGEST} octets", file=path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as failure:
        line = content[: failure.start].count(b"\n") + 1
        raise ConfigurationError("not UTF-8", file=path, line=line) from None
    return parse_upstream_map(text.split("\n"), path)


def parse_upstream_map(lines: Iterable[str], path: Path) -> UpstreamMap:
    """Return the table of `lines`; `path` is for what is told of mistakes."""
    entries: dict[str, Targets] = {}
    # Many users are on the same servers: their lists are parsed, and kept, once.
    known: dict[str, Targets] = {}
    problems: list[ConfigurationError] = []
    for number, line in enumerate(lines, 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        try:
            _add(content, entries, known)
        except (BadValueError, AddressError) as failure:
            problem = ConfigurationError(str(failure), remedy=_REMEDY, file=path, line=number)
            problems.append(problem)
            if len(problems) == _MOST_PROBLEMS:
                break
    if problems:
        raise ConfigurationProblems(problems)
    return UpstreamMap(entries)


def _add(content: str, entries: dict[str, Targets], known: dict[str, Targets]) -> None:
    name, *rest = content.split(None, 1)
    if not rest:
        raise BadValueError("no upstream follows the address")
    key = _key(name)
    if key in entries:
        raise BadValueError(f"{key} stands there twice")
    urls = rest[0]
    targets = known.get(urls)
    if targets is None:
        targets = known[urls] = _targets(urls)
    entries[key] = targets


def _key(name: str) -> str:
    if name.startswith("@"):
        return f"@{canonical_domain(name[1:])}"
    return canonical_address(name)


def _targets(urls: str) -> Targets:
    if urls == EMBEDDED:
        return dict.fromkeys(PROTOCOLS, HERE)
    by_protocol: dict[str, list[str]] = {}
    for item in urls.split(","):
        scheme = item.strip().partition("://")[0].lower()
        protocol = "pop" if scheme.startswith("pop") else "imap"
        by_protocol.setdefault(protocol, []).append(item)
    return {
        protocol: parse_upstreams(",".join(items), (protocol,))
        for protocol, items in by_protocol.items()
    }
