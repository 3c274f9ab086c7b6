"""A policy file (RFC 8461 section 3.2), read and written.

Takes the octets of the file, gives a `Policy`, or raises `MtaStsError`. Bounded by the size that
the caller read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfront.errors import MtaStsError
from mailfront.outgoing.transport_policy import StsMode

# RFC 8461 section 3.2: about one year.
LONGEST_MAX_AGE = 31_557_600
_MOST_MX = 1000
_LONGEST_NAME = 253
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_MX = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_AGE = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain asks for: `max_age` is in seconds; `mx` are names of servers in lower case, of
    which the first label may be `*`; `lines` are those of the file."""

    mode: StsMode
    max_age: int
    mx: tuple[str, ...]
    lines: tuple[str, ...] = ()


def parse_policy(content: bytes) -> Policy:
    """Return the policy in a file. Raises `MtaStsError` with what is wrong with it.

    Of a field that stands twice the first counts, except for mx; unknown fields are passed over.
    """
    values: dict[str, str] = {}
    servers: list[str] = []
    lines = _lines(content)
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise MtaStsError(f"line {number} of the policy is no field")
        name, value = match[1], match[2].rstrip(" \t")
        if name == "mx":
            servers.append(_server(value, number))
        else:
            values.setdefault(name, value)
    if values.get("version") != "STSv1":
        raise MtaStsError("the policy is not of version STSv1")
    mode = _mode(values.get("mode", ""))
    if _AGE.fullmatch(values.get("max_age", "")) is None:
        raise MtaStsError("the policy's max_age is no number of seconds")
    if not servers and mode is not StsMode.NONE:
        raise MtaStsError("the policy names no mx")
    if len(servers) > _MOST_MX:
        raise MtaStsError(f"the policy names more than {_MOST_MX} mx")
    max_age = min(int(values["max_age"]), LONGEST_MAX_AGE)
    return Policy(mode, max_age, tuple(dict.fromkeys(servers)), tuple(lines))


def policy_text(mode: StsMode, max_age: int, servers: tuple[str, ...]) -> str:
    """Return the file that asks for this, as it is published: lines end with CRLF."""
    lines = ["version: STSv1", f"mode: {mode.value}"]
    lines += [f"mx: {name}" for name in servers]
    lines.append(f"max_age: {max_age}")
    return "".join(f"{line}\r\n" for line in lines)


def is_server_pattern(text: str) -> bool:
    """Return whether a text can stand in an mx field: a host's name, or `*.` and a domain."""
    return len(text) <= _LONGEST_NAME and _MX.fullmatch(text) is not None


def _lines(content: bytes) -> list[str]:
    """The lines, ended by LF or CRLF, without empty ones at the end."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MtaStsError("the policy is not UTF-8") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip(" \t"):
        lines.pop()
    return lines


def _mode(word: str) -> StsMode:
    try:
        return StsMode(word)
    except ValueError:
        modes = ", ".join(mode.value for mode in StsMode)
        raise MtaStsError(f"the policy's mode is none of {modes}") from None


def _server(value: str, number: int) -> str:
    if not is_server_pattern(value):
        raise MtaStsError(f"line {number} of the policy names no mail server")
    return value.rstrip(".").lower()
