"""Runs every command of the pages about certificates and writes what it printed into them.

`python docs/generate_certificates_page.py` does it in the checkout, for `certificates.md`,
`certificate-login.md` and `hsm.md`, or the pages that it is given; a test for each tells when that
is due.
A page is its own source: blocks of the language `console` hold commands (`$ `, continued by
`> `) and what they print; comments that begin with `<!-- console` hold commands that are run and
not shown. All commands of a page run in one shell, in a directory that stands for `/`, with `docs`
in the working directory; one that fails stops everything. Daemons are ended by files `*.pid` in
`/srv`.

What differs from run to run (dates, fingerprints, serial numbers, keys) is replaced by something of
the same form that is the same each time: equal fingerprints stay equal, and dates keep their order.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

DOCS = Path(__file__).parent
CERTIFICATES = DOCS / "certificates.md"
CERTIFICATE_LOGIN = DOCS / "certificate-login.md"
HSM = DOCS / "hsm.md"
PAGES = (CERTIFICATES, CERTIFICATE_LOGIN, HSM)
DEADLINE = 900.0
# The ports of the pages; others are used.
PORTS = (
    "12143", "12993", "12110", "12995", "12525", "12587", "12465", "12080", "12443", "12636",
)  # fmt: skip
# Directories that the page names, and that are made elsewhere.
_ROOTS = ("/srv", "/etc/letsencrypt")
# Where daemons are; not in everybody's path.
_SBIN = "/usr/sbin"
_BLOCK = re.compile(r"^(```|<!-- )console\n(.*?)^(```|-->)$", re.MULTILINE | re.DOTALL)
_MARK = "\x1e"

# How long certificates of the page live, in days, and what is written instead of their end. Months
# and leap years make a difference of some days.
_BASE = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
_LIFETIMES = (0, 10, 91, 365, 1826)
_TOLERANCE = 4


class PageError(Exception):
    """A command of the page failed, or printed what cannot be made the same each time."""


def generated(page: str) -> str:
    """Return the page with what its commands print now. Raises `PageError`."""
    commands = [command for block in _BLOCK.finditer(page) for command in _commands(block[2])]
    with tempfile.TemporaryDirectory() as directory:
        printed = iter(_run(commands, Path(directory).resolve()))

    def block_of(block: re.Match[str]) -> str:
        body = "".join(_shown(command) + next(printed) for command in _commands(block[2]))
        return block[0] if block[1] != "```" else f"```console\n{body}```"

    return _BLOCK.sub(block_of, page)


def _commands(block: str) -> Iterator[str]:
    """Yield the commands in a block, of one line or several."""
    command: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield "\n".join(command)
            command = [line[2:]]
        elif line.startswith("> ") or line == ">":
            command.append(line[2:])
    if command:
        yield "\n".join(command)


def _shown(command: str) -> str:
    return "$ " + command.replace("\n", "\n> ") + "\n"


def _run(commands: list[str], directory: Path) -> list[str]:
    """Run the commands in one shell; return what each printed, made the same each time."""
    ports = _free_ports()
    for root in _ROOTS:
        (directory / root[1:]).mkdir(parents=True)
    script = directory / "commands.sh"
    script.write_text(_script(commands, directory, ports))
    (directory / "work").mkdir()
    (directory / "work" / "docs").symlink_to(DOCS.resolve())
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], _SBIN]),
        "HOME": str(directory / "work"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    finished = subprocess.run(
        ["/bin/bash", str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        check=False,
        text=True,
        cwd=directory / "work",
        env=environment,
    )
    pieces = finished.stdout.split(_MARK)[1:]
    stable = _Stable(directory, ports)
    results = []
    for command, piece in zip(commands, pieces, strict=False):
        text, _, status = piece.rpartition("status ")
        if status.strip() != "0":
            raise PageError(f"$ {command}\n{text}exit status {status.strip()}")
        results.append(stable.text(text))
    if len(results) != len(commands):
        raise PageError(f"the shell ended early:\n{finished.stdout}")
    return results


def _script(commands: list[str], directory: Path, ports: list[str]) -> str:
    """One shell script; each command's output stands between a mark and its exit status."""
    daemons = f"find {directory}/srv -name '*.pid' -exec cat {{}} +"
    end = f"end() {{ kill $(jobs -p) $({daemons}) 2>/dev/null; wait; }}"
    parts = [f"{end}\ntrap end EXIT\n"]
    for command in commands:
        for root in _ROOTS:
            command = command.replace(root, f"{directory}{root}")
        for shown, port in zip(PORTS, ports, strict=True):
            command = command.replace(shown, port)
        if command.endswith(" &"):
            # What it prints comes before it answers, and it prints a line once it does.
            command = f"rm -f started\n{command[:-2]} > started 2>&1 &\n"
            command += "until [ -s started ]; do sleep 0.1; done\ncat started"
        parts.append(f"printf '{_MARK}'\n{command}\nprintf 'status %d\\n' $?\n")
    return "".join(parts)


def _free_ports() -> list[str]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in PORTS]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


_FINGERPRINT = re.compile(r"\b(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\b")
_SHORT_FINGERPRINT = re.compile(r"(?<![0-9A-F:])(?:[0-9A-F]{2}:){3}[0-9A-F]{2}(?![0-9A-F:])")
_SHA1_FINGERPRINT = re.compile(r"(?<![0-9A-F:])(?:[0-9A-F]{2}:){19}[0-9A-F]{2}(?![0-9A-F:])")
_OCTETS = re.compile(r"(?:^ +(?:[0-9a-f]{2}:)*[0-9a-f]{2}:?\n)+", re.MULTILINE)
_DAYS_IN_BRACKETS = re.compile(r"\((\d+) days\)")
_RULE = re.compile(r"-+(?:  +-+)+")
_BEHIND_TABLE = re.compile(r"$|\d+ (?:certificates? found|keys? wait)")
_LOG_TIME = f"{_BASE:%Y-%m-%d %H:%M:%S}.000"
# What depends on the machine, and what it is on the page.
_INSTEAD = (
    (
        re.compile(r"added \d+ public CAs, trusted for servers, from \S+"),
        "added 144 public CAs, trusted for servers, from /etc/ssl/certs/ca-certificates.crt",
    ),
    (re.compile(r"^\d+(?= entries,)", re.MULTILINE), "148"),
    (re.compile(r"(?<=backed up )\d+|(?<=restored )\d+"), "148"),
    (re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", re.MULTILINE), _LOG_TIME),
    (re.compile(r"(?<=peer=127\.0\.0\.1:)\d+"), "40112"),
    (re.compile(r" suite=\S+ group=\S+"), " suite=TLS_AES_128_GCM_SHA256 group=x25519"),
    (re.compile(r"(?<= session=)[A-Za-z0-9_-]{12}"), "7zw9Eit3q0Wr"),
    (re.compile(r" in=\d+ out=\d+ seconds=[\d.]+"), " in=1364 out=2520 seconds=0.021"),
    (re.compile(r"\b[0-9a-f]{64}\b"), hashlib.shake_256(b"SHA-256").hexdigest(32)),
    (re.compile(r"(?<=^serial number: )[0-9a-f]+", re.MULTILINE), "5a1c9f"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "60e204c20ce0"),
    # What SoftHSM makes of chance.
    (re.compile(r"(?<=reassigned to slot )\d+|(?<=^Slot )\d{3,}", re.MULTILINE), "459578579"),
    (re.compile(r"(?<=slot ID 0x)[0-9a-f]{3,}"), "1b649cd3"),
    (re.compile(r"(?<=serial number )[0-9a-f]{16}\b"), "9fad0f311b649cd3"),
)
# strptime's form of every date that the commands print.
_DATES = (
    (re.compile(r"\b\d{4}/\d\d/\d\d \d\d:\d\d\b"), "%Y/%m/%d %H:%M"),
    (re.compile(r"\b\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\b"), "%a %b %d %H:%M:%S %Y"),
    (re.compile(r"\b\w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}(?= GMT)"), "%b %d %H:%M:%S %Y"),
    (re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d(?= |$)", re.MULTILINE), "%Y-%m-%d %H:%M"),
    (re.compile(r"\b20\d\d-\d\d-\d\d\b(?! \d\d:\d\d)"), "%Y-%m-%d"),
)


@dataclass
class _Stable:
    """Replaces what differs from run to run; remembers which fingerprint stands for which."""

    directory: Path
    ports: list[str]
    _now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _fingerprints: dict[str, str] = field(default_factory=dict)

    def text(self, text: str) -> str:
        """Return what a command printed, in the form that it has in the page."""
        return "".join(f"{line.rstrip()}\n" for line in self._lines(text))

    def _lines(self, text: str) -> list[str]:
        lines = text.splitlines()
        rule = next((at for at, line in enumerate(lines) if _RULE.fullmatch(line)), None)
        if rule is None:
            return self._plain(text).splitlines()
        end = next(
            (at for at in range(rule, len(lines)) if _BEHIND_TABLE.match(lines[at])), len(lines)
        )
        behind = self._plain("".join(f"{line}\n" for line in lines[end:])).splitlines()
        return self._table(lines[:rule], lines[rule], lines[rule + 1 : end]) + behind

    def _table(self, heads: list[str], rule: str, rows: list[str]) -> list[str]:
        """A table whose cells have another width now."""
        columns = [found.span() for found in re.finditer("-+", rule)]

        def cells(line: str) -> list[str]:
            return [line[start:end].strip() for start, end in columns]

        head_cells = [cells(head) for head in heads]
        counts_days = [name == "Days" for name in head_cells[0]]
        row_cells = [
            [
                str(_days(int(cell))) if of_days and cell else self._plain(cell).strip()
                for cell, of_days in zip(cells(row), counts_days, strict=True)
            ]
            for row in rows
        ]
        widths = [max(map(len, column)) for column in zip(*head_cells, *row_cells, strict=True)]
        rules = ["-" * width for width in widths]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            for line in (*head_cells, rules, *row_cells)
        ]

    def _plain(self, text: str) -> str:
        text = text.replace(f"{self.directory}/work/", "").replace(str(self.directory), "")
        for shown, port in zip(PORTS, self.ports, strict=True):
            text = text.replace(port, shown)
        text = _FINGERPRINT.sub(self._fingerprint, text)
        text = _SHORT_FINGERPRINT.sub(self._short_fingerprint, text)
        text = _SHA1_FINGERPRINT.sub(_octets_of("SHA-1", 20), text)
        text = _OCTETS.sub(_first_octets, text)
        for pattern, instead in _INSTEAD:
            text = pattern.sub(instead, text)
        for pattern, form in _DATES:
            text = pattern.sub(partial(self._date, form), text)
        return _DAYS_IN_BRACKETS.sub(lambda found: f"({_days(int(found[1]))} days)", text)

    def _fingerprint(self, found: re.Match[str]) -> str:
        number = len(self._fingerprints)
        return self._fingerprints.setdefault(found[0], _octets_of(f"certificate {number}", 32))

    def _short_fingerprint(self, found: re.Match[str]) -> str:
        for known, instead in self._fingerprints.items():
            if known.startswith(found[0]):
                return instead[: len(found[0])]
        raise PageError(f"the fingerprint {found[0]} was not printed in full before")

    def _date(self, form: str, found: re.Match[str]) -> str:
        moment = datetime.strptime(found[0], form).replace(tzinfo=UTC)
        lifetime = _nearest((moment - self._now).total_seconds() / 86400)
        return (_BASE + timedelta(days=lifetime)).strftime(form)


def _nearest(days: float) -> int:
    lifetime = min(_LIFETIMES, key=lambda known: abs(known - days))
    if abs(lifetime - days) > _TOLERANCE:
        raise PageError(f"{days:.1f} days: no certificate of the page lives so long")
    return lifetime


def _days(left: int) -> int:
    # The day that has begun does not count.
    return max(_nearest(left + 1) - 1, 0)


def _octets_of(name: str, count: int) -> str:
    digest = hashlib.shake_256(name.encode()).digest(count)
    return ":".join(f"{octet:02X}" for octet in digest)


def _first_octets(found: re.Match[str]) -> str:
    """Keys and signatures: some lines of octets become one that tells nothing."""
    indent = found[0][: len(found[0]) - len(found[0].lstrip(" "))]
    return f"{indent}3a:5f:…\n"


def main() -> None:
    """Write the pages anew."""
    for page in map(Path, sys.argv[1:]) if len(sys.argv) > 1 else PAGES:
        try:
            text = generated(page.read_text("utf-8"))
        except PageError as error:
            sys.exit(str(error))
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
