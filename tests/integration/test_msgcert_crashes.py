"""Whatever ends msgcert, the certificate database is in the old or in the new state.

The subcommands run in processes of their own, made by fork so that some hundreds take seconds.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.backup import read_token, write_backup
from mailfront.keystore.formats import (
    certificate_pem,
    certificate_public_key_der,
    private_key_public_der,
)
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from tests.support.keystores import (
    CHEAP,
    PASSWORD,
    password_file,
    root_with_keystore,
    self_signed,
)

KILLS = 600
KILLS_OF_WHOLE_PROCESSES = 12
WRITERS = 8
# SQLite's words for it with our remedies, and the system's.
FULL = ("free space on this file system", "is full (df)", "No space left on device")
SEED = 20260501
NEW_PASSWORD = Secret("another")
IDENTITIES = [self_signed() for _ in range(2)]


class Files:
    """What the subcommands read: two renewals of one certificate, a backup, passwords."""

    def __init__(self, directory: Path, root: ServerRoot) -> None:
        directory.mkdir()
        self.renewals: list[tuple[Path, Path]] = []
        for number, (key, certificate) in enumerate(IDENTITIES):
            chain, private = directory / f"{number}.pem", directory / f"{number}.key"
            chain.write_bytes(certificate_pem(certificate))
            private.touch(mode=0o600)
            private.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            self.renewals.append((chain, private))
        self.password = password_file(directory / "password", NEW_PASSWORD)
        self.backup = directory / "certificates.backup"
        with opened(root) as token:
            self.backup.write_bytes(write_backup(read_token(token), NEW_PASSWORD, CHEAP))

    def renewal(self, number: int) -> list[str]:
        chain, private = self.renewals[number % 2]
        return ["import-cert", "--replace", "imap-cert", str(chain), "--key", str(private)]

    def addition(self, nickname: str) -> list[str]:
        chain, private = self.renewals[0]
        return ["import-cert", nickname, str(chain), "--key", str(private)]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return prepared(tmp_path / "root")


@pytest.fixture
def files(tmp_path: Path, root: ServerRoot) -> Files:
    return Files(tmp_path / "files", root)


def prepared(path: Path) -> ServerRoot:
    root = root_with_keystore(path)
    key, certificate = IDENTITIES[0]
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", key, [certificate])
    return root


def opened(root: ServerRoot) -> InternalToken:
    """Open the database as a server does: with the password in `sslpassword.conf`."""
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    return InternalToken.open(root.certificate_database, password)


def start(
    root: ServerRoot, arguments: list[str], *, log: Path, before: Callable[[], None] | None = None
) -> int:
    """Start msgcert in a process of its own and return its id."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        if before is not None:
            before()
        status = main(["--home", str(root.path), *arguments])
        sys.stderr.flush()
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """Wait for a process; return its exit code, or the negative number of its signal."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def killed(root: ServerRoot, arguments: list[str], seconds: float, log: Path) -> bool:
    """Run msgcert and kill it after a while; return whether it had not ended by then."""
    child = start(root, arguments, log=log)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return ended(child) == -signal.SIGKILL


def check_state(root: ServerRoot) -> tuple[str, ...]:
    """Assert that everything is whole and belongs together; return the nicknames."""
    with closing(sqlite3.connect(root.certificate_database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with opened(root) as token:
        for record in token.list():
            assert record.certificate in [certificate for _, certificate in IDENTITIES]
            public = certificate_public_key_der(record.certificate)
            assert private_key_public_der(token.private_key(record.nickname)) == public
        return token.nicknames()


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_state(
    root: ServerRoot, files: Files, tmp_path: Path
) -> None:
    moments = random.Random(SEED)
    log = tmp_path / "log"
    operations: list[Callable[[int], list[str]]] = [
        files.renewal,
        lambda number: ["change-password", "--random"],
        lambda number: files.addition(f"new-{number}"),
        lambda number: ["restore", "--force", "-I", files.password, str(files.backup)],
    ]
    lasting = []
    for number, operation in enumerate(operations):
        began = time.monotonic()
        assert ended(start(root, operation(number), log=log)) == 0, log.read_text()
        lasting.append(time.monotonic() - began)
    in_the_middle = 0
    for number in range(KILLS):
        which = number % len(operations)
        before = set(check_state(root))
        arguments = operations[which](number)
        in_the_middle += killed(root, arguments, moments.uniform(0, 1.1 * lasting[which]), log)
        after = set(check_state(root))
        assert after in (before, before | {f"new-{number}"}, {"imap-cert"})
    assert in_the_middle > KILLS // 4
    for number, operation in enumerate(operations):
        assert ended(start(root, operation(number), log=log)) == 0, log.read_text()


def test_whole_processes_that_are_killed_leave_the_old_or_the_new_state(
    root: ServerRoot, files: Files
) -> None:
    moments = random.Random(SEED)
    command = [sys.executable, "-m", "mailfront.cli.msgcert", "--home", str(root.path)]
    began = time.monotonic()
    subprocess.run([*command, *files.renewal(1)], check=True, capture_output=True, timeout=60)
    lasting = time.monotonic() - began
    for number in range(KILLS_OF_WHOLE_PROCESSES):
        process = subprocess.Popen(
            [*command, *files.renewal(number)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moments.uniform(0.7, 1) * lasting)
        process.kill()
        process.wait()
        assert check_state(root) == ("imap-cert",)


def test_concurrent_writers_lose_nothing_of_each_other(
    root: ServerRoot, files: Files, tmp_path: Path
) -> None:
    log = tmp_path / "log"

    def work(writer: int) -> int:
        for number in range(4):
            for arguments in (files.addition(f"{writer}-{number}"), files.renewal(writer)):
                if status := ended(start(root, arguments, log=log)):
                    return status
        return 0

    children = []
    for writer in range(WRITERS):
        child = os.fork()
        if child == 0:
            status = 99
            try:
                status = work(writer)
            finally:
                os._exit(status)
        children.append(child)
    assert [ended(child) for child in children] == [0] * WRITERS, log.read_text()
    expected = {f"{writer}-{number}" for writer in range(WRITERS) for number in range(4)}
    assert set(check_state(root)) == expected | {"imap-cert"}


def test_concurrent_changes_of_the_password_leave_one_that_is_noted(
    root: ServerRoot, tmp_path: Path
) -> None:
    """Who waited too long finds the password it began with refused; nobody is locked out."""
    log = tmp_path / "log"
    command = ["change-password", "--random"]
    statuses = [ended(child) for child in [start(root, command, log=log) for _ in range(WRITERS)]]
    assert 0 in statuses
    assert set(statuses) <= {0, 1}
    assert check_state(root) == ("imap-cert",)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB; skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", str(place)]
    if os.geteuid() != 0 or mount is None or subprocess.run([mount, *options]).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_leaves_the_old_state(small_disk: Path, tmp_path: Path) -> None:
    root = prepared(small_disk / "root")
    files = Files(tmp_path / "files", root)
    log = tmp_path / "log"
    filler = small_disk / "filler"
    refusals = 0
    for left in range(0, 64, 4):
        before = set(check_state(root))
        fill_but(filler, left * 1024)
        new = f"new-{left}"
        for arguments in (files.renewal(1), files.addition(new), ["change-password", "--random"]):
            log.unlink(missing_ok=True)
            status = ended(start(root, arguments, log=log))
            assert status in (0, 1)
            refusals += status
            if status:
                assert any(text in log.read_text() for text in FULL), log.read_text()
        filler.unlink()
        after = set(check_state(root))
        assert before <= after <= before | {new}
    assert refusals
    assert ended(start(root, files.renewal(0), log=log)) == 0, log.read_text()


def fill_but(filler: Path, left: int) -> None:
    """Fill the file system but for so many octets."""
    facts = os.statvfs(filler.parent)
    filler.write_bytes(b"\0" * max(facts.f_bavail * facts.f_frsize - left, 0))


def test_a_limit_on_files_is_told_and_leaves_the_old_state(
    root: ServerRoot, files: Files, tmp_path: Path
) -> None:
    log = tmp_path / "log"

    def limited(octets: int) -> Callable[[], None]:
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))

    refusals = 0
    for octets in (0, 64, 4096, 8192, 16384, 32768):
        for arguments in (files.renewal(1), ["change-password", "--random"]):
            status = ended(start(root, arguments, log=log, before=limited(octets)))
            assert status in (0, 1)
            refusals += status
            assert check_state(root) == ("imap-cert",)
    assert refusals
    assert "Traceback" not in log.read_text()
