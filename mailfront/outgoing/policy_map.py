"""config/tls_policy: what an operator demands of the TLS with single destinations.

The form is that of Postfix's smtp_tls_policy_maps: `destination level attribute=value …`, a line
each; `#` begins a comment line, a line that begins with a blank continues the one before. A
destination is a domain, `.domain` for all below it, or a smarthost as `[host]` or `[host]:port`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from mailfront.configuration.suggest import did_you_mean
from mailfront.errors import AddressError, ConfigurationError
from mailfront.protocol.mail_address import canonical_domain

_log = logging.getLogger("mailfront.outgoing")

LARGEST_FILE = 4 * 1024 * 1024
_MOST_MATCHES = 64
# An editor may empty or remove a file before it writes the new one.
_EMPTY_SECONDS = 10.0
_BRACKETED = re.compile(r"\[([^\[\]\s]{1,255})\](?::([0-9]{1,5}))?")
_WITH_PORT = re.compile(r"([^:\[\]\s]{1,255}):([0-9]{1,5})")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Level(Enum):
    """What is demanded (postconf(5), smtp_tls_policy_maps); the value is its name in the file."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"
    DANE = "dane"
    DANE_ONLY = "dane-only"
    VERIFY = "verify"
    SECURE = "secure"
    FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A line of the file. `matches` are the names that a certificate may have, `hostname` and
    `nexthop` among them standing for what Postfix lets them stand for; of a fingerprint, SHA-256
    digests in lower-case hexadecimal digits."""

    destination: str
    level: Level
    matches: tuple[str, ...] = ()
    line: int = 0

    def __str__(self) -> str:
        return f"tls_policy line {self.line}, {self.destination} {self.level.value}"


@dataclass(frozen=True, slots=True)
class PolicyMap:
    """All lines, by destination."""

    entries: Mapping[str, PolicyEntry] = field(default_factory=dict)

    def find(self, domain: str, daemon: str = "", port: int = 25) -> PolicyEntry | None:
        """Return the entry for mail to `domain`, or for the smarthost that takes it: the exact
        one with the port, without it, then the nearest parent domain's."""
        host = daemon.strip("[]").lower()
        wanted = [f"[{host}]:{port}", f"[{host}]", host] if host else [f"{domain}:{port}", domain]
        labels = (host or domain).split(".")
        parents = (f".{'.'.join(labels[first:])}" for first in range(1, len(labels)))
        return next((self.entries[key] for key in (*wanted, *parents) if key in self.entries), None)


def parse_policy_map(text: str, file: Path | None = None) -> PolicyMap:
    """Read the text of the file. Raises `ConfigurationError` with the line."""
    entries: dict[str, PolicyEntry] = {}
    for number, words in _lines(text):
        try:
            entry = _entry(words, number)
        except ConfigurationError as fault:
            raise ConfigurationError(
                fault.what, remedy=fault.remedy, file=file, line=number
            ) from None
        if (earlier := entries.get(entry.destination)) is not None:
            what = f"{words[0]} is in line {earlier.line} already"
            raise ConfigurationError(what, file=file, line=number)
        entries[entry.destination] = entry
    return PolicyMap(entries)


def load_policy_map(path: Path) -> PolicyMap:
    """Read the file at `path`; one that is not there says nothing. Raises `ConfigurationError`."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return PolicyMap()
    except OSError as failure:
        raise ConfigurationError(f"cannot be read: {failure.strerror}", file=path) from failure
    if len(octets) > LARGEST_FILE:
        raise ConfigurationError(f"is larger than {LARGEST_FILE} octets", file=path)
    try:
        return parse_policy_map(octets.decode("utf-8"), path)
    except UnicodeDecodeError:
        raise ConfigurationError("is not UTF-8", file=path) from None


class PolicyMapFile:
    """The file as it is now: read again when it changes; what cannot be read leaves the last one
    in force, and is logged. One that has lost all its lines counts as empty after some seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `ConfigurationError`."""
        self._path = path
        self._clock = clock
        self._empty_since: float | None = None
        self._seen = self._state()
        self._map = load_policy_map(path)

    def current(self) -> PolicyMap:
        """Return the map in force."""
        if (state := self._state()) != self._seen:
            try:
                found = load_policy_map(self._path)
            except ConfigurationError as fault:
                self._seen = state
                _log.error("the policy map stays as it was: %s", fault)
            else:
                if self._map.entries and not found.entries and not self._is_empty_for_long():
                    return self._map
                self._seen, self._map = state, found
        self._empty_since = None
        return self._map

    def _is_empty_for_long(self) -> bool:
        now = self._clock()
        if self._empty_since is None:
            self._empty_since = now
            _log.warning("%s has no lines any more: they count for a few seconds yet", self._path)
        return now - self._empty_since >= _EMPTY_SECONDS

    def _state(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The logical lines, each with the number of its first."""
    begun, words = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            if not words:
                raise ConfigurationError(f"line {number} continues a line that is not there")
            words += line.split()
            continue
        if words:
            yield begun, words
        begun, words = number, line.split()
    if words:
        yield begun, words


def _entry(words: list[str], number: int) -> PolicyEntry:
    destination = _destination(words[0])
    levels = {level.value: level for level in Level}
    if len(words) < 2:
        raise ConfigurationError(f"{words[0]} has no level", remedy=f"one of {', '.join(levels)}")
    level = levels.get(words[1].lower())
    if level is None:
        raise ConfigurationError(
            f"{words[1]!r} is no level",
            remedy=did_you_mean(words[1], levels, otherwise=f"one of {', '.join(levels)}"),
        )
    matches: list[str] = []
    for word in words[2:]:
        name, equals, value = word.partition("=")
        if name != "match" or not equals or not value:
            raise ConfigurationError(
                f"{name!r} is no attribute that is understood here", remedy="match=NAME:NAME…"
            )
        matches += _matches(level, value)
    if level is Level.FINGERPRINT and not matches:
        raise ConfigurationError(
            "fingerprint has no digest to match", remedy="match=DIGEST, the certificate's SHA-256"
        )
    if matches and level not in {Level.VERIFY, Level.SECURE, Level.FINGERPRINT}:
        raise ConfigurationError(f"level {level.value} matches no names")
    if len(matches) > _MOST_MATCHES:
        raise ConfigurationError(f"more than {_MOST_MATCHES} matches")
    return PolicyEntry(destination, level, tuple(matches), number)


def _destination(word: str) -> str:
    if found := _BRACKETED.fullmatch(word):
        return f"[{found[1].lower()}]{':' + found[2] if found[2] else ''}"
    name, port = word, ""
    if found := _WITH_PORT.fullmatch(word):
        name, port = found[1], f":{found[2]}"
    below = "." if name.startswith(".") else ""
    try:
        return f"{below}{canonical_domain(name.removeprefix('.'))}{port}"
    except AddressError as fault:
        raise ConfigurationError(f"{word!r} is no destination: {fault}") from None


def _matches(level: Level, value: str) -> list[str]:
    if level is not Level.FINGERPRINT:
        return [name.lower() for name in value.split(":") if name]
    digests = []
    for digest in value.split("|"):
        plain = digest.replace(":", "").lower()
        if not _SHA256.fullmatch(plain):
            raise ConfigurationError(
                f"{digest!r} is no SHA-256 digest", remedy="`openssl x509 -fingerprint -sha256`"
            )
        digests.append(plain)
    return digests
