"""Whether a request may go to the webmail at all: its method, target and host.

Pure functions over what the request line and Host say. A path is judged as a lenient server could
read it (percent-encoding undone, backslashes and parameters included), and passed on as it came;
what means something else in the two readings is refused. Browsers send none of that: they resolve
dot segments themselves.
"""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import unquote_to_bytes

# RFC 9110 section 9.3.6 and 9.3.8: tunnels are not offered, and TRACE would show what we added.
_METHODS_REFUSED = frozenset({"CONNECT", "TRACE"})
_TARGET = re.compile(r"/[!-~]*")
_SEPARATORS = re.compile(rb"[/\\]")


class Verdict(Enum):
    """What becomes of a request: the value is the status of the refusal."""

    PASSED = 200
    MALFORMED = 400
    NOT_PASSED_ON = 404
    METHOD_REFUSED = 405
    OTHER_HOST = 421


def judge(
    method: str, target: str, host: str, *, paths: tuple[str, ...], hosts: frozenset[str]
) -> Verdict:
    """Judge a request; `host` is the value of Host, checked for its form already."""
    if method in _METHODS_REFUSED:
        return Verdict.METHOD_REFUSED
    # No absolute form (RFC 9112 section 3.2.2): its host would stand against that of Host.
    if _TARGET.fullmatch(target) is None or "#" in target:
        return Verdict.MALFORMED
    path = target.partition("?")[0]
    decoded = unquote_to_bytes(path)
    if b"\0" in decoded or _has_dot_segments(decoded):
        return Verdict.MALFORMED
    if hosts and host_name(host) not in hosts:
        return Verdict.OTHER_HOST
    if not any(_is_below(path, decoded, allowed) for allowed in paths):
        return Verdict.NOT_PASSED_ON
    return Verdict.PASSED


def host_name(host: str) -> str:
    """The name in a Host field, without port and in lower case."""
    name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def _has_dot_segments(decoded: bytes) -> bool:
    # Some servers cut parameters (";…") off a segment before they resolve it.
    segments = (segment.partition(b";")[0] for segment in _SEPARATORS.split(decoded))
    return any(segment in (b".", b"..") for segment in segments)


def _is_below(path: str, decoded: bytes, allowed: str) -> bool:
    """Both as it came and decoded: a server may or may not tell %2F from a slash."""
    if allowed == "/":
        return True
    octets = allowed.encode()
    return (path == allowed or path.startswith(allowed + "/")) and (
        decoded == octets or decoded.startswith(octets + b"/")
    )
