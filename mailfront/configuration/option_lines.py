"""The grammar of `msg.conf`: bytes to lines, lines back to bytes with one changed.

    file    = *( line LF )                       ; UTF-8, at most 1 MiB and 20,000 lines
    line    = blank / comment / setting          ; at most 4096 octets
    comment = "#" text                           ; blanks before it are allowed
    setting = name "=" value                     ; blanks around both are allowed
    value   = plain / DQUOTE text DQUOTE         ; in quotes, \\" is a quote and \\\\ a backslash

Plain values contain neither a quote nor `#`: what looks like a comment behind a value is refused
rather than taken for a part of it. Lines that are not in the grammar are kept as faults, and kept
as they are when another line is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LARGEST_FILE = 2**20
LONGEST_LINE = 4096
MOST_LINES = 20_000

_SETTING = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,99})[ \t]*=[ \t]*(.*)", re.ASCII)
_COMMENTED_SETTING = re.compile(r"#[ \t]?([A-Za-z][A-Za-z0-9._-]{0,99})[ \t]*=", re.ASCII)
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPE = re.compile(r'\\(["\\])')
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_.:/@,+*()-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Setting:
    """A line that gives an option a value; `line` counts from 1."""

    line: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that is not in the grammar."""

    line: int
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class OptionLines:
    """A file taken apart: its raw lines, and what the lines that are no comments say."""

    raw: tuple[str, ...]
    settings: tuple[Setting, ...]
    faults: tuple[Fault, ...]

    def changed(self, changes: dict[str, str | None]) -> bytes:
        """Return the file with options set to texts, or their lines removed for None.

        A new setting goes behind the comment that shows the option (`#name = default`) if there
        is one, else to the end. Everything else stays as it is, byte for byte.
        """
        remaining = dict(changes)
        lines_of = {setting.line: setting.name for setting in self.settings}
        kept: list[str] = []
        for number, raw in enumerate(self.raw, start=1):
            name = lines_of.get(number)
            if name is None or name not in changes:
                kept.append(raw)
                continue
            text = remaining.pop(name, None)
            if text is not None:
                kept.append(setting_line(name, text))
        additions = {name: text for name, text in remaining.items() if text is not None}
        lines = _with_additions(kept, additions)
        return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")


def _with_additions(lines: list[str], additions: dict[str, str]) -> list[str]:
    result: list[str] = []
    remaining = dict(additions)
    for line in lines:
        result.append(line)
        shown = _COMMENTED_SETTING.match(line)
        if shown is not None and shown[1] in remaining:
            result.append(setting_line(shown[1], remaining.pop(shown[1])))
    result.extend(setting_line(name, text) for name, text in remaining.items())
    return result


def setting_line(name: str, text: str) -> str:
    """Return the line that sets an option, the value in quotes where it needs them."""
    if _NEEDS_NO_QUOTES.fullmatch(text):
        return f"{name} = {text}"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name} = "{escaped}"'


def parse_option_lines(content: bytes) -> OptionLines:
    """Take a file apart. Never raises: what is not in the grammar is among the faults."""
    if len(content) > LARGEST_FILE or content.count(b"\n") > MOST_LINES:
        what = f"the file has more than {LARGEST_FILE} octets or {MOST_LINES} lines"
        return OptionLines((), (), (Fault(1, what, "is this the right file?"),))
    parts = content.split(b"\n")
    if not parts[-1]:
        parts.pop()
    raw: list[str] = []
    settings: list[Setting] = []
    faults: list[Fault] = []
    for number, octets in enumerate(parts, start=1):
        raw.append(octets.decode(errors="surrogateescape"))
        found = _parse_line(number, octets)
        if isinstance(found, Setting):
            settings.append(found)
        elif found is not None:
            faults.append(found)
    return OptionLines(tuple(raw), tuple(settings), tuple(faults))


def _parse_line(number: int, octets: bytes) -> Setting | Fault | None:
    if len(octets) > LONGEST_LINE:
        return Fault(number, f"the line is longer than {LONGEST_LINE} octets", "shorten it")
    try:
        line = octets.decode().strip(" \t\r")
    except UnicodeDecodeError:
        return Fault(number, "the line is not UTF-8", "save the file as UTF-8")
    if not line or line.startswith("#"):
        return None
    match = _SETTING.fullmatch(line)
    if match is None:
        return Fault(
            number,
            "the line is neither a comment nor `name = value`",
            "begin a comment with #, or write name, equals sign and value on one line",
        )
    return _parse_value(number, match[1], match[2])


def _parse_value(number: int, name: str, written: str) -> Setting | Fault:
    if not written.startswith('"'):
        if "#" in written or '"' in written:
            return Fault(
                number,
                f"the value of {name} contains # or a quotation mark",
                "put the whole value in double quotes, and a comment on a line of its own",
            )
        return Setting(number, name, written)
    quoted = _QUOTED.fullmatch(written)
    if quoted is None:
        return Fault(
            number,
            f"the quoted value of {name} does not end where the line ends",
            'put the whole value in double quotes, with a backslash before each " or \\ in it',
        )
    return Setting(number, name, _ESCAPE.sub(r"\1", quoted[1]))
