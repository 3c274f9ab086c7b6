"""Questions to the name servers, and whether DNSSEC proved the answers.

Takes a name and a type, gives an `Answer`, out of a bounded cache for as long as its time to live
says. The proof is the AD bit of a validating resolver (RFC 4035 section 3.2.3, RFC 6840 section
5.8). Anybody on the way could set it, so it is believed only from resolvers on loopback, unless
the operator says otherwise. Where any is believed the others are not asked: what they would say
after its SERVFAIL may be what it found to be forged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype

from mailfront.errors import ConfigurationError, DnsUnavailableError

RESOLV_CONF = Path("/etc/resolv.conf")

_log = logging.getLogger("mailfront.outgoing")

_MOST_KEPT = 10_000
_LONGEST_KEPT = 3600.0
_SHORTEST_KEPT = 1.0
# What passes every path in one datagram (DNS flag day 2020).
_PAYLOAD = 1232
_ROUNDS = 2
_LOOKED_AT = 8
_MOST_SERVERS = 3
_MOST_RECORDS = 200
# So that those who fill the cache with the largest answers there are gain little by it.
_LARGEST_KEPT = 4096
# The resolver of Docker's networks is on loopback and passes on what another machine says.
_NOT_OF_THIS_MACHINE = ipaddress.ip_address("127.0.0.11")


@dataclass(frozen=True, slots=True)
class NameServer:
    """A resolver's address. `is_believed` tells that its AD bit counts."""

    address: str
    port: int = 53
    is_believed: bool = False

    def __str__(self) -> str:
        return self.address if self.port == 53 else f"{self.address}#{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is of a type: no `records` where there are none of it, `exists` False where
    there is not even the name. `name` is where the records are, behind all aliases, without its
    last dot. `authenticated` tells that all of this was proved by DNSSEC."""

    name: str
    records: tuple[dns.rdata.Rdata, ...] = ()
    authenticated: bool = False
    exists: bool = True
    is_alias: bool = False


def name_servers(text: str, *, believe_all: bool = False) -> tuple[NameServer, ...]:
    """Read addresses with commas between them, each with `#port` behind it or not.

    Raises `ConfigurationError`.
    """
    found = []
    for word in text.replace(",", " ").split():
        address, _, port = word.partition("#")
        try:
            parsed = ipaddress.ip_address(address)
            number = int(port or 53)
        except ValueError:
            raise ConfigurationError(f"{word!r} is no address of a name server") from None
        if not 0 < number < 65536:
            raise ConfigurationError(f"{word!r} has no port between 1 and 65535")
        own = parsed.is_loopback and parsed != _NOT_OF_THIS_MACHINE
        found.append(NameServer(address, number, believe_all or own))
    return tuple(found)


def servers_to_ask(servers: Sequence[NameServer]) -> Sequence[NameServer]:
    """Leave only those that are believed, if there is one: an answer that a validating resolver
    refuses (RFC 4035 section 5.5) is not to be had from one that proves nothing."""
    return [each for each in servers if each.is_believed] or servers


@dataclass(slots=True)
class SystemServers:
    """The name servers of resolv.conf (resolv.conf(5)), read again when it changes."""

    path: Path = RESOLV_CONF
    believe_all: bool = False
    _read: tuple[int, tuple[NameServer, ...]] = (-1, ())

    def __call__(self) -> tuple[NameServer, ...]:
        """Return the servers of the moment; this machine's own where none is named."""
        try:
            changed = self.path.stat().st_mtime_ns
            if changed != self._read[0]:
                self._read = (changed, tuple(self._servers(self.path.read_text("utf-8"))))
        except (OSError, UnicodeError) as failure:
            _log.error("%s cannot be read: %s", self.path, failure)
        return self._read[1] or name_servers("127.0.0.1")

    def _servers(self, text: str) -> Iterator[NameServer]:
        for line in text.splitlines():
            words = line.split()
            if len(words) < 2 or words[0] != "nameserver":
                continue
            try:
                yield from name_servers(words[1], believe_all=self.believe_all)
            except ConfigurationError:
                _log.warning("%s names a server that is no address", self.path)


@dataclass(slots=True)
class Resolver:
    """Asks `servers` in turn, each for `timeout` seconds, twice. Equal questions at the same time
    are one."""

    servers: Callable[[], Sequence[NameServer]]
    timeout: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _kept: dict[tuple[str, str], tuple[float, Answer]] = field(default_factory=dict)
    _asking: dict[tuple[str, str], asyncio.Lock] = field(default_factory=dict)

    async def lookup(self, name: str, kind: str) -> Answer:
        """Return the records of `kind` (`MX`, `A`, …) of `name` (A-labels, taken from the root).

        Raises `DnsUnavailableError` if nothing can be learnt now: no answer in time, a failure
        (which is also what a validating resolver makes of a forged answer), no readable reply.
        """
        question = (name.lower().rstrip("."), kind)
        if (known := self._known(question)) is not None:
            return known
        lock = self._asking.setdefault(question, asyncio.Lock())
        try:
            async with lock:
                return self._known(question) or await self._asked(question)
        finally:
            if not lock.locked():
                self._asking.pop(question, None)

    def _known(self, question: tuple[str, str]) -> Answer | None:
        until, answer = self._kept.get(question, (0.0, None))
        if self.clock() < until:
            return answer
        self._kept.pop(question, None)
        return None

    async def _asked(self, question: tuple[str, str]) -> Answer:
        name, kind = question
        try:
            query = dns.message.make_query(
                dns.name.from_text(f"{name}."), kind, want_dnssec=True, payload=_PAYLOAD
            )
        except (dns.exception.DNSException, ValueError) as failure:
            # No such name can be in the DNS.
            _log.debug("dns name=%r is none: %s", name, failure)
            return Answer(name, exists=False)
        query.flags |= dns.flags.AD
        problem = "there is no name server"
        for server in [*servers_to_ask(self.servers())[:_MOST_SERVERS]] * _ROUNDS:
            try:
                response, _ = await dns.asyncquery.udp_with_fallback(
                    query, server.address, timeout=self.timeout, port=server.port,
                    ignore_unexpected=True, ignore_errors=True,
                )  # fmt: skip
                answer, lasts = _read(name, response, believed=server.is_believed)
            except _NoAnswer as failure:
                problem = str(failure)
            except (dns.exception.DNSException, OSError, EOFError) as failure:
                problem = _told(failure)
            else:
                if _octets(answer) <= _LARGEST_KEPT:
                    self._keep(question, answer, lasts)
                return answer
        raise DnsUnavailableError(f"looking up {kind} of {name or 'the root'}: {problem}")

    def _keep(self, question: tuple[str, str], answer: Answer, lasts: float) -> None:
        self._kept.pop(question, None)
        now = self.clock()
        # A few of the oldest each time: what has expired goes without a walk through all.
        for each in list(islice(self._kept, _LOOKED_AT)):
            if self._kept[each][0] <= now:
                del self._kept[each]
        while len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        kept_for = min(max(lasts, _SHORTEST_KEPT), _LONGEST_KEPT)
        self._kept[question] = (now + kept_for, answer)


class _NoAnswer(Exception):
    """A response that says nothing of what was asked."""


def _read(name: str, response: dns.message.Message, *, believed: bool) -> tuple[Answer, float]:
    code = response.rcode()
    if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise _NoAnswer(f"the resolver answers {dns.rcode.to_text(code)}")
    if not isinstance(response, dns.message.QueryMessage):
        raise _NoAnswer("the resolver answers something else")
    chain = response.resolve_chaining()
    answer = Answer(
        name=chain.canonical_name.to_text(omit_final_dot=True).lower(),
        records=tuple(chain.answer or ())[:_MOST_RECORDS],
        authenticated=believed and bool(response.flags & dns.flags.AD),
        exists=code == dns.rcode.NOERROR,
        is_alias=bool(chain.cnames),
    )
    return answer, float(chain.minimum_ttl)


def _octets(answer: Answer) -> int:
    return sum(len(record.to_wire() or b"") for record in answer.records)


def _told(failure: Exception) -> str:
    if isinstance(failure, dns.exception.Timeout):
        return "no answer in time"
    if isinstance(failure, OSError):
        return failure.strerror or type(failure).__name__
    return f"the answer cannot be read ({type(failure).__name__})"
