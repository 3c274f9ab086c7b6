"""A linked file that the server's user cannot reach: the message names what is in the way.

Where the tests run as root, which nothing stops, a forked child that is nobody looks instead.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.linked_files import Link, identities, read_linked
from tests.support.issuing import Issuer, certificate_pem_file

NOBODY = 65534
NAME = "mail.example.test"


@pytest.fixture
def letsencrypt() -> Iterator[Path]:
    """certbot's two directories, open to everybody; not below the directory of pytest, which is
    its user's alone."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory).resolve()
        archive, live = base / "archive" / NAME, base / "live" / NAME
        archive.mkdir(parents=True)
        live.mkdir(parents=True)
        certificate_pem_file(archive / "fullchain1.pem", Issuer().issue(NAME).chain)
        (live / "fullchain.pem").symlink_to(f"../../archive/{NAME}/fullchain1.pem")
        for path in (base, archive, archive.parent, live, live.parent):
            path.chmod(0o755)
        (archive / "fullchain1.pem").chmod(0o644)
        yield base
        for path in (live.parent, archive.parent, archive):
            path.chmod(0o755)


def told(base: Path) -> str:
    """What a user without privileges is told of the linked file; nothing if it can be read."""
    link = Link("imap-cert", base / "live" / NAME / "fullchain.pem")
    if os.geteuid() != 0:
        return _message(link)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "the child failed"
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            answer = _message(link)
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer


def _message(link: Link) -> str:
    try:
        identities(link)
        read_linked(link)
    except KeystoreError as error:
        return str(error)
    return ""


def test_a_file_that_is_open_is_read(letsencrypt: Path) -> None:
    assert told(letsencrypt) == ""


@pytest.mark.parametrize(
    ("closed", "mode", "expected"),
    [
        ("live", 0o600, "live is closed to user"),
        ("archive", 0o600, "archive is closed to user"),
        (f"archive/{NAME}", 0o600, f"archive/{NAME} is closed to user"),
        (f"archive/{NAME}/fullchain1.pem", 0o000, "fullchain1.pem is closed to user"),
    ],
)
def test_the_first_part_of_the_path_that_is_closed_is_named_with_its_mode(
    letsencrypt: Path, closed: str, mode: int, expected: str
) -> None:
    culprit = letsencrypt / closed
    culprit.chmod(mode)
    message = told(letsencrypt)
    assert f"fullchain.pem: cannot be read: {culprit} is closed to user" in message
    assert expected in message
    assert ("(mode drw-------)" if culprit.is_dir() else "(mode ----------)") in message
    right = "x" if culprit.is_dir() else "r"
    assert f":{right} {culprit}" in message
