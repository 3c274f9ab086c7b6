"""ENVELOPE and BODYSTRUCTURE of the corpus, compared with Dovecot's.

Dovecot runs as `doveadm` over a Maildir of its own: no server, no network. Values compare as nested
lists without regard to the case of strings and to how a string is written (quoted or literal).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from mailfront.backend.embedded.body_structure import body_structure
from mailfront.backend.embedded.envelope import envelope
from mailfront.protocol.mime.scan import scan
from tests.support.peers import require_program

MESSAGES = sorted((Path(__file__).parents[1] / "corpus" / "messages").glob("*.eml"))

STRUCTURE_DIFFERENCES = {
    "bare_line_feeds": "Dovecot gives sizes as if line ends were CRLF; we give those of the bytes",
    "no_boundary_parameter": "Dovecot calls the opaque part text/plain of size 0 inside a broken "
    "list; we call it application/octet-stream with its size",
    "odd_content_types": "Dovecot sends empty type names; we follow RFC 2045 5.2, text/plain",
    "rfc2231_parameters": "Dovecot leaves spaces unencoded in a joined RFC 2231 value",
}
UNPRIVILEGED = 65534

Value = list["Value"] | bytes | None


@pytest.fixture(scope="module")
def dovecot_values() -> dict[str, tuple[Value, Value]]:
    doveadm = require_program("doveadm", "dovecot-core")
    user = UNPRIVILEGED if os.getuid() == 0 else os.getuid()
    group = UNPRIVILEGED if os.getuid() == 0 else os.getgid()
    # Not below pytest's directory, which the unprivileged user cannot enter.
    home = Path(tempfile.mkdtemp(prefix="mailfront-dovecot-"))
    try:
        return read_with_dovecot(doveadm, home, user, group)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def read_with_dovecot(
    doveadm: Path, home: Path, user: int, group: int
) -> dict[str, tuple[Value, Value]]:
    configuration = home / "dovecot.conf"
    configuration.write_text(
        f"base_dir = {home}/run\nssl = no\nmail_location = maildir:{home}/Maildir\n"
        f"mail_uid = {user}\nmail_gid = {group}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n"
    )
    for name in ("cur", "new", "tmp"):
        (home / "Maildir" / name).mkdir(parents=True)
    for number, path in enumerate(MESSAGES):
        (home / "Maildir" / "cur" / f"{1000 + number}.a.b:2,").write_bytes(path.read_bytes())
    for path in (home, *home.rglob("*")):
        os.chown(path, user, group)
    output = subprocess.run(
        [doveadm, "-c", configuration, "fetch", "imap.envelope imap.bodystructure", "all"],
        env={"USER": "corpus", "HOME": str(home), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout
    records = re.findall(
        rb"imap\.envelope: (.*?)\nimap\.bodystructure: (.*?)\n\x0c", output + b"\n\x0c", re.DOTALL
    )
    assert len(records) == len(MESSAGES)
    return {
        path.stem: (parse(b"(" + first + b")"), parse(b"(" + second + b")"))
        for path, (first, second) in zip(MESSAGES, records, strict=True)
    }


def parse(value: bytes) -> Value:
    """A parenthesized list of IMAP strings, numbers and NIL."""
    stack: list[list[Value]] = [[]]
    pattern = re.compile(rb'\(|\)|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^ ()"{]+)| ')
    place = 0
    while place < len(value):
        match = pattern.match(value, place)
        assert match is not None, value[place:]
        place = match.end()
        if match[0] == b"(":
            stack.append([])
        elif match[0] == b")":
            finished = stack.pop()
            stack[-1].append(finished)
        elif match[1] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match[1]).lower())
        elif match[2] is not None:
            stack[-1].append(value[place : place + int(match[2])].lower())
            place += int(match[2])
        elif match[3] is not None:
            stack[-1].append(None if match[3] == b"NIL" else match[3].lower())
    return stack[0][0]


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_envelopes_are_those_of_dovecot(
    path: Path, dovecot_values: dict[str, tuple[Value, Value]]
) -> None:
    assert parse(envelope(path.read_bytes())) == dovecot_values[path.stem][0]


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_structures_are_those_of_dovecot_but_for_the_listed_differences(
    path: Path, dovecot_values: dict[str, tuple[Value, Value]]
) -> None:
    message = path.read_bytes()
    ours = parse(body_structure(scan(message), message, extended=True))
    agrees = ours == dovecot_values[path.stem][1]
    assert agrees != (path.stem in STRUCTURE_DIFFERENCES), "the list of differences is out of date"
