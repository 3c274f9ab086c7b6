"""imta.cnf into a `ChannelTable`: rewrite rules, the first blank line, channel blocks.

    NAME KEYWORD …       a channel's name and keywords
    OFFICIAL-HOST        what rules name it by
                         a blank line ends the block; the first channel is the local one, `l`

`defaults KEYWORD …` holds for the blocks below it, until `nodefaults`. What a server cannot do
without is added where the file does not say it: a file without any rule or channel counts as
absent, and a missing `l`, `tcp_local` or `tcp_submit` is the one of `STANDARD`. All mistakes are
told at once, each with file and line.

Where a block says nothing: TLS is `maytls` (the original: `notls`), and `tcp_submit`, as every
channel with `submit`, has `musttlsserver mustsaslserver`. Elsewhere AUTH is not offered.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from mailfront.channels.channel import Channel, Demand, Exchangers
from mailfront.channels.imta_lines import ImtaFile, Line
from mailfront.channels.keywords import KEYWORDS, Wishes, read_keywords, split_words
from mailfront.channels.rewrite_rule import RewriteRule, parse_rule
from mailfront.channels.table import PORT_CHANNELS, ChannelTable, RuleIndex
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.suggest import did_you_mean
from mailfront.errors import ConfigurationError, ConfigurationProblems

STANDARD = """\
. $U%$H@tcp-daemon
[] $U%[$L]@tcp-daemon

l
localhost

tcp_local smtp mx maytls
tcp-daemon

tcp_submit submit smtp mx maytlsclient musttlsserver mustsaslserver
tcp_submit-daemon
"""
"""What holds where there is no imta.cnf, or nothing in it."""

MAXIMUM_PROBLEMS = 50
MAXIMUM_CHANNELS = 1000
MAXIMUM_RULES = 20_000

_LOCAL = "l"
_LOCAL_NAMES = frozenset({_LOCAL, "ims-ms"})
_DEFAULTS = "defaults"
_NO_DEFAULTS = "nodefaults"


def load_channels(root: ServerRoot) -> ChannelTable:
    """Return what config/imta.cnf says, or the standard where there is none.

    Raises `ConfigurationError`, or `ConfigurationProblems` for several mistakes.
    """
    path = root.imta_cnf
    if not os.path.lexists(path):
        return _Reader(path).read(_standard_lines(path))
    file = ImtaFile(path)
    reader = _Reader(path, file)
    lines = file.lines()
    if file.is_of_old:
        reader.warn(
            "is the default of a version that did not read it; it counts now, as it stands. "
            "Remove it for what is standard today; to keep it take the comment NOT READ YET out"
        )
    return reader.read(lines)


def _standard_lines(path: Path) -> list[Line]:
    return [Line(path, 0, text) for text in STANDARD.splitlines()]


class _Reader:
    """What was read so far, and what was wrong with it."""

    def __init__(self, path: Path, file: ImtaFile | None = None) -> None:
        self._path = path
        self._file = file
        self._rules: list[tuple[Line, RewriteRule]] = []
        self._channels: dict[str, Channel] = {}
        self._lines: dict[str, Line] = {}
        self._hosts: dict[str, Channel] = {}
        self._problems: list[ConfigurationError] = []
        self._warnings: list[str] = []
        self._without_effect: dict[str, None] = {}

    def warn(self, what: str) -> None:
        """Note what is wrong with the file as a whole and does not count as a mistake."""
        self._warnings.append(f"{self._path}: {what}")

    def read(self, lines: list[Line]) -> ChannelTable:
        lines = _without_leading_blanks(lines)
        if not lines:
            lines = _standard_lines(self._path)
            self.warn("says nothing; what is standard holds")
        end = next((number for number, line in enumerate(lines) if not line.text), len(lines))
        self._read_rules(lines[:end])
        self._read_blocks(_blocks(lines[end:]))
        missing = self._add_standard_channels()
        self._check_references()
        recipients, senders = self._indexes()
        if len(self._problems) == 1:
            raise self._problems[0]
        if self._problems:
            raise ConfigurationProblems(self._problems[:MAXIMUM_PROBLEMS])
        return ChannelTable(
            channels=self._channels,
            rules=tuple(rule for _, rule in self._rules),
            recipients=recipients,
            senders=senders,
            hosts=self._hosts,
            warnings=tuple(self._warnings),
            without_effect=tuple(self._without_effect),
            missing=missing,
            files=() if self._file is None else tuple(self._file.files),
        )

    def _read_rules(self, lines: list[Line]) -> None:
        if len(lines) > MAXIMUM_RULES:
            self._problems.append(lines[MAXIMUM_RULES].fault(f"more than {MAXIMUM_RULES} rules"))
            return
        for line in lines:
            try:
                self._rules.append((line, parse_rule(line)))
            except ConfigurationError as problem:
                self._problems.append(problem)

    def _read_blocks(self, blocks: list[list[Line]]) -> None:
        defaults = Wishes()
        for number, block in enumerate(blocks):
            if number == MAXIMUM_CHANNELS:
                self._problems.append(block[0].fault(f"more than {MAXIMUM_CHANNELS} channels"))
                return
            try:
                defaults = self._read_block(block, defaults)
            except ConfigurationError as problem:
                self._problems.append(problem)

    def _read_block(self, block: list[Line], defaults: Wishes) -> Wishes:
        """Read one block; return the defaults for those below it."""
        head = block[0]
        name, *words = split_words(head)
        name = name.lower()
        if name in (_DEFAULTS, _NO_DEFAULTS):
            if len(block) > 1:
                raise block[1].fault(f"{name} stands alone, with a blank line behind it")
            wishes = Wishes() if name == _NO_DEFAULTS else deepcopy(defaults)
            read_keywords(head, words, wishes)
            return wishes
        self._check_head(head, name, words)
        self._lines[name] = head
        wishes = deepcopy(defaults)
        read_keywords(head, words, wishes)
        if len(block) < 2:
            raise head.fault(
                f"the channel {name} has no official host",
                "write it in the line below, as in tcp-daemon",
            )
        host = self._official_host(block[1], name)
        channel = _channel(head, name, host, wishes, self._path.parent)
        self._channels[name] = channel
        self._hosts[host] = channel
        self._without_effect |= dict.fromkeys(wishes.without_effect)
        self._warnings += [
            f"{line.file}:{line.number}: host names below a channel's official host "
            "have no effect here"
            for line in block[2:3]
        ]
        return defaults

    def _check_head(self, head: Line, name: str, words: list[str]) -> None:
        if len(words) == 1 and ("@" in words[0] or "$" in words[0]):
            raise head.fault(
                "this looks like a rewrite rule, but the first blank line has ended them",
                "take that blank line out, or move the rule before it",
            )
        if (
            name in KEYWORDS
            or len(name) > 32
            or not name.replace("_", "").replace("-", "").isalnum()
        ):
            raise head.fault(
                f"{name} is no name of a channel", "a channel block begins with the channel's name"
            )
        if name in self._lines:
            raise head.fault(
                f"a second channel {name}", f"the first one is in line {self._lines[name].number}"
            )
        if not self._lines and name != _LOCAL:
            self._lines[_LOCAL] = head
            raise head.fault(
                f"the first channel is {name}, not the local one",
                f"put this before it, with a blank line behind: {_LOCAL} on one line, localhost on "
                "the next",
            )

    def _official_host(self, line: Line, name: str) -> str:
        words = line.text.split()
        if len(words) != 1 or "@" in line.text:
            raise line.fault(f"the official host of the channel {name} is one word")
        host = words[0].lower()
        if other := self._hosts.get(host):
            raise line.fault(f"{host} is the official host of the channel {other.name} already")
        return host

    def _add_standard_channels(self) -> tuple[str, ...]:
        """Add what every server needs and the file lacks; return the names."""
        missing: list[str] = []
        for head, host in _blocks(_standard_lines(self._path))[1:]:
            name, *words = head.text.split()
            if name not in self._lines and host.text not in self._hosts:
                wishes = Wishes()
                read_keywords(head, words, wishes)
                channel = _channel(head, name, host.text, wishes, self._path.parent)
                self._channels[name] = self._hosts[host.text] = channel
                missing.append(name)
            elif name not in self._lines:
                taken = self._hosts[host.text]
                self._problems.append(
                    self._lines[taken.name].fault(
                        f"there is no channel {name}, but {taken.name} has its official host "
                        f"{host.text}",
                        f"name the channel {name}, or give it another official host",
                    )
                )
        return tuple(missing)

    def _check_references(self) -> None:
        for channel in self._channels.values():
            for keyword, target in (
                ("tlsswitchchannel", channel.tls_switch),
                ("saslswitchchannel", channel.sasl_switch),
            ):
                if target and target not in self._channels and target not in self._lines:
                    self._problems.append(
                        self._lines[channel.name].fault(
                            f"{keyword} {target}: there is no such channel",
                            did_you_mean(target, self._channels),
                        )
                    )
        if not self._problems:
            for line, rule in self._rules:
                self._check_host(line, rule)

    def _check_host(self, line: Line, rule: RewriteRule) -> None:
        if rule.host not in self._hosts:
            guess = did_you_mean(rule.host, self._hosts)
            self._problems.append(
                line.fault(
                    f"no channel has the official host {rule.host}",
                    guess or "to send by a fixed server, give a channel the keyword daemon",
                )
            )

    def _indexes(self) -> tuple[RuleIndex, RuleIndex]:
        recipients, senders = RuleIndex(), RuleIndex()
        for line, rule in self._rules:
            for wanted, index in ((rule.for_recipients, recipients), (rule.for_senders, senders)):
                if wanted and (other := index.add(rule)):
                    self._problems.append(
                        line.fault(
                            f"a second rule for {rule.pattern}",
                            f"the first one is {other.place}",
                        )
                    )
                    break
        return recipients, senders


def _without_leading_blanks(lines: list[Line]) -> list[Line]:
    first = next((number for number, line in enumerate(lines) if line.text), len(lines))
    return lines[first:]


def _blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines between blank lines; a blank line of an included file counts as every other."""
    blocks: list[list[Line]] = [[]]
    for line in lines:
        if line.text:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _channel(head: Line, name: str, host: str, wishes: Wishes, directory: Path) -> Channel:
    submission = name == PORT_CHANNELS["submission"] if wishes.submission is None else True
    unsaid = Demand.MUST if submission else Demand.NEVER
    local = name in _LOCAL_NAMES
    channel = Channel(
        name=name,
        official_host=host,
        line=head.number,
        local=local,
        tls_client=wishes.tls_client or Demand.MAY,
        tls_server=wishes.tls_server or (Demand.MUST if submission else Demand.MAY),
        sasl_client=wishes.sasl_client or Demand.NEVER,
        sasl_server=wishes.sasl_server or unsaid,
        tls_switch=wishes.tls_switch or "",
        sasl_switch=wishes.sasl_switch or "",
        exchangers=wishes.exchangers or Exchangers.MX,
        daemon=wishes.daemon or "",
        port=wishes.port or 25,
        max_jobs=wishes.max_jobs or 10,
        source_block_limit=wishes.source_block_limit,
        backoff=wishes.backoff or (),
        notices=wishes.notices or (),
        credentials=str(directory / wishes.credentials) if wishes.credentials else "",
        client_certificate=wishes.client_certificate or "",
        submission=submission,
        sends=not local and (name.startswith("tcp_") if wishes.sends is None else wishes.sends),
        switches=bool(wishes.switches),
        switched_to=wishes.switched_to is not False,
    )
    if channel.sasl_client is not Demand.NEVER and not channel.credentials:
        raise head.fault(
            f"{channel.sasl_client.value}saslclient has no login to use",
            "add saslcredentials FILE, a file in config/ with mode 0600",
        )
    return channel
