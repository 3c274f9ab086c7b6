"""The keywords of channel blocks: what each sets, and which have no effect here.

Takes the words behind a channel's name, fills `Wishes`: what was said, and nothing else, so that a
block can be laid over the defaults before it. Keywords have no case. Those of the original that
say nothing in this server are in `keywords_without_effect`; those that would change where mail goes
and are not done here are refused with the reason. Messaging Server 6.3 Administration Guide,
chapter 12.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mailfront.channels.channel import Demand, Exchangers
from mailfront.channels.durations import parse_age, parse_duration
from mailfront.channels.imta_lines import Line
from mailfront.channels.keywords_without_effect import WITHOUT_EFFECT
from mailfront.configuration.suggest import did_you_mean
from mailfront.errors import AddressError
from mailfront.protocol.mail_address import canonical_domain

BLOCK_OCTETS = 1024
MAXIMUM_TIMES = 32
_MAXIMUM_JOBS = 1000
_WORD = re.compile(r'"([^"]*)"(?=\s|$)|([^\s"]+)(?=\s|$)')

_REFUSED = {
    "nodns": "hosts are found by the DNS alone; use daemon for a fixed one",
    "lastresort": "there is no host of last resort here; use daemon for a fixed one",
    "interfaceaddress": "mail leaves by the address that the system chooses",
    "multiple": "mail leaves by SMTP alone",
    "msexchange": "what old clients take for STARTTLS is not offered",
    "lmtp": "LMTP is spoken to upstreams: configutil --describe service.imta.upstream",
}


@dataclass(slots=True)
class Wishes:
    """What keywords said; None, or empty, where they said nothing."""

    sends: bool | None = None
    submission: bool | None = None
    tls_client: Demand | None = None
    tls_server: Demand | None = None
    sasl_client: Demand | None = None
    sasl_server: Demand | None = None
    tls_switch: str | None = None
    sasl_switch: str | None = None
    switches: bool | None = None
    switched_to: bool | None = None
    exchangers: Exchangers | None = None
    daemon: str | None = None
    port: int | None = None
    max_jobs: int | None = None
    source_block_limit: int | None = None
    backoff: tuple[float, ...] | None = None
    notices: tuple[float, ...] | None = None
    credentials: str | None = None
    client_certificate: str | None = None
    without_effect: list[str] = field(default_factory=list)


Value = bool | int | str | Demand | Exchangers


def _demands(side: str) -> dict[str, dict[str, Value]]:
    """The keywords of TLS or of SASL: for both sides, for the server's, for the client's."""
    known: dict[str, dict[str, Value]] = {}
    for demand in Demand:
        client: dict[str, Value] = {f"{side}_client": demand}
        server: dict[str, Value] = {f"{side}_server": demand}
        known[f"{demand.value}{side}"] = client | server
        known[f"{demand.value}{side}client"] = client
        known[f"{demand.value}{side}server"] = server
    return known


# Keywords without an argument, and what they set.
_FLAGS: dict[str, dict[str, Value]] = {
    **_demands("tls"),
    **_demands("sasl"),
    **{name: {"sends": True} for name in ("smtp", "smtp_cr", "smtp_crlf", "smtp_crorlf")},
    "smtp_lf": {"sends": True},
    "nosmtp": {"sends": False},
    "submit": {"submission": True},
    "nosaslswitchchannel": {"sasl_switch": ""},
    "switchchannel": {"switches": True, "switched_to": True},
    "allowswitchchannel": {"switches": False, "switched_to": True},
    "noswitchchannel": {"switches": False, "switched_to": False},
    "mx": {"exchangers": Exchangers.MX},
    "defaultmx": {"exchangers": Exchangers.MX},
    "nonrandommx": {"exchangers": Exchangers.MX},
    "randommx": {"exchangers": Exchangers.MX},
    "nomx": {"exchangers": Exchangers.NONE},
}


class _BadArgumentError(Exception):
    """An argument is not what its keyword takes; the text says what it takes."""


def _channel_name(text: str) -> str:
    if text.lower() in KEYWORDS:
        raise _BadArgumentError("the name of a channel")
    return text.lower()


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            raise _BadArgumentError(f"a number from {least} to {most}")
        if not least <= int(text) <= most:
            raise _BadArgumentError(f"a number from {least} to {most}")
        return int(text)

    return parse


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        address = ipaddress.ip_address(text[5:] if text[:5].lower() == "ipv6:" else text)
    except ValueError:
        pass
    else:
        return f"[{'IPv6:' if address.version == 6 else ''}{address}]"
    try:
        return canonical_domain(text.removesuffix("."))
    except AddressError:
        raise _BadArgumentError("a host name or an address") from None


def _blocks(text: str) -> int:
    return _number(1, 2**31 // BLOCK_OCTETS)(text) * BLOCK_OCTETS


# Keywords with one argument: what they set, and how the argument is read.
_VALUES: dict[str, tuple[str, Callable[[str], Value]]] = {
    "tlsswitchchannel": ("tls_switch", _channel_name),
    "saslswitchchannel": ("sasl_switch", _channel_name),
    "daemon": ("daemon", _host),
    "port": ("port", _number(1, 65535)),
    "maxjobs": ("max_jobs", _number(1, _MAXIMUM_JOBS)),
    "sourceblocklimit": ("source_block_limit", _blocks),
    "saslcredentials": ("credentials", str),
    "tlscertificate": ("client_certificate", str),
}

# Keywords with as many times as follow.
_TIMES: dict[str, tuple[str, Callable[[str], float | None], str]] = {
    "backoff": ("backoff", parse_duration, 'durations, as in backoff "PT5M" "PT30M" "PT4H"'),
    "notices": ("notices", parse_age, "ages in days or as durations, as in notices PT3H 1 5"),
}

_TIMES |= {"normalbackoff": _TIMES["backoff"], "normalnotices": _TIMES["notices"]}

KEYWORDS = frozenset({*_FLAGS, *_VALUES, *_TIMES, *WITHOUT_EFFECT, *_REFUSED})


def split_words(line: Line) -> list[str]:
    """Return the words of a line; one with blanks stands in quotes. Raises `ConfigurationError`."""
    words: list[str] = []
    position = 0
    while position < len(line.text):
        if line.text[position].isspace():
            position += 1
            continue
        found = _WORD.match(line.text, position)
        if found is None:
            raise line.fault('a quotation mark (") too many or too few')
        words.append(found[1] if found[1] is not None else found[2])
        position = found.end()
    return words


def read_keywords(line: Line, words: list[str], wishes: Wishes) -> None:
    """Take the keywords in `words` into `wishes`. Raises `ConfigurationError` at the first wrong
    one."""
    position = 0
    while position < len(words):
        name = words[position].lower()
        position += 1
        if name in _FLAGS:
            for attribute, value in _FLAGS[name].items():
                setattr(wishes, attribute, value)
        elif name in _VALUES:
            attribute, parse = _VALUES[name]
            setattr(wishes, attribute, _argument(line, name, words[position : position + 1], parse))
            position += 1
        elif name in _TIMES:
            position += _times(line, name, words[position:], wishes)
        elif name in WITHOUT_EFFECT:
            position += _arguments_without_effect(line, name, words[position:])
            if name not in wishes.without_effect:
                wishes.without_effect.append(name)
        elif name in _REFUSED:
            raise line.fault(f"the keyword {name} is not supported", _REFUSED[name])
        else:
            raise line.fault(f"unknown keyword {words[position - 1]}", did_you_mean(name, KEYWORDS))


def _argument(line: Line, name: str, words: list[str], parse: Callable[[str], Value]) -> Value:
    if not words or not words[0]:
        raise line.fault(f"{name} takes an argument")
    try:
        return parse(words[0])
    except _BadArgumentError as wanted:
        raise line.fault(f"{name} takes {wanted}, not {words[0]}") from None


def _times(line: Line, name: str, words: list[str], wishes: Wishes) -> int:
    """Take the times that follow; return how many words that are."""
    attribute, parse, form = _TIMES[name]
    times: list[float] = []
    for word in words:
        seconds = parse(word)
        if seconds is None:
            if word.lower() not in KEYWORDS:
                raise line.fault(f"{name} {word}: neither a time nor a keyword", f"write {form}")
            break
        times.append(seconds)
    if not 1 <= len(times) <= MAXIMUM_TIMES:
        raise line.fault(f"{name} takes 1 to {MAXIMUM_TIMES} times", f"write {form}")
    if attribute == "notices" and sorted(set(times)) != times:
        raise line.fault("the ages of notices must grow", f"write {form}")
    setattr(wishes, attribute, tuple(times))
    return len(times)


def _arguments_without_effect(line: Line, name: str, words: list[str]) -> int:
    least, most = WITHOUT_EFFECT[name]
    if len(words) < least:
        raise line.fault(f"{name} takes {'an argument' if least == 1 else f'{least} arguments'}")
    count = least
    while count < min(most, len(words)) and words[count].lower() not in KEYWORDS:
        count += 1
    return count
