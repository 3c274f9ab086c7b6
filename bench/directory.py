"""What it costs to find a user: in `users.ldif` and in slapd, among 100 and a million.

Prints CPU microseconds of this process (and of slapd) for each look-up, logins per CPU-second with
and without caches, what loading the file costs, and how soon look-ups succeed after slapd has come
back. slapd is as in the tests: mdb on the local disk, filled by slapadd.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench.processes import cpu_seconds
from mailfront.authentication.authenticate import DirectoryAuthenticator
from mailfront.authentication.password import hash_password
from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.directory import Directory
from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.directory.ldap.directory import LdapDirectory
from mailfront.directory.ldap.settings import LdapSettings, ldap_settings
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.authenticator import Identity, LoginClient
from mailfront.interfaces.credentials import PasswordCredentials
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.tls.client_context import build_client_context
from tests.support.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, ssha, user

SIZES = (100, 10_000, 1_000_000)
LOOKUPS = 4000
LOGINS = 300
AT_ONCE = 16
PASSWORD = Secret("of the bench")
"""Everybody's."""


def main() -> None:
    """Print the figures; a size of users may be given as the greatest one."""
    print(f"{'':34}{'users':>10}{'µs/look-up':>12}{'slapd µs':>10}{'cached µs':>11}")
    for size in SIZES:
        _in_a_process_of_its_own("ldif", size)
    for size in SIZES:
        _in_a_process_of_its_own("slapd", size)


def _in_a_process_of_its_own(kind: str, size: int) -> None:
    # So that the memory and the collections of one do not burden the next.
    subprocess.run([sys.executable, "-m", "bench.directory", kind, str(size)], check=True)


def _name(number: int) -> str:
    return f"user{number:07d}"


async def _cost(count: int, work: Callable[[int], Awaitable[object]]) -> float:
    """CPU microseconds of this process for each of `count` pieces of work, `AT_ONCE` at a time."""
    waiting = iter(range(count))

    async def worker() -> None:
        for number in waiting:
            await work(number)

    begin = time.process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (time.process_time() - begin) / count * 1e6


async def _logins(directory: Directory, size: int, *, cold: bool) -> float:
    """Logins per CPU-second of this process."""
    authenticator = DirectoryAuthenticator(directory, "example.test")

    async def log_in(number: int) -> None:
        uid = _name(number % size if cold else 0)
        peer = Peer(f"192.0.{number % 250}.{number // 250 + 1}", 40000, "192.0.2.1", 993)
        outcome = await authenticator.authenticate(
            LoginClient("imap", peer, "PLAIN"), PasswordCredentials("", uid, PASSWORD)
        )
        assert isinstance(outcome, Identity), outcome

    if not cold:
        await log_in(0)
    count = min(LOGINS, size) if cold else 10 * LOGINS
    cost = await _cost(count, log_in)
    authenticator.close()
    return 1e6 / cost


async def _ldif(path: Path, size: int) -> None:
    before = _resident()
    begin = time.process_time()
    directory = EmbeddedDirectory(path)
    loading = time.process_time() - begin
    grown = (_resident() - before) / 2**20
    chosen = [random.randrange(size) for _ in range(LOOKUPS)]

    async def look_up(number: int) -> None:
        assert await directory.entry_for_login(_name(chosen[number]), "example.test") is not None

    cost = await _cost(LOOKUPS, look_up)
    print(f"{'users.ldif: look-up':34}{size:>10,}{cost:>12.1f}{'':>10}{'':>11}")
    print(f"{'':8}loading: {loading:.1f} CPU s, {grown:.0f} MiB")
    cold, cached = [await _logins(directory, size, cold=cold) for cold in (True, False)]
    print(f"{'':8}logins per CPU-second: {cold:,.0f} (argon2id each), {cached:,.0f} (cached)")


async def _ldap(slapd: Slapd, settings: LdapSettings, size: int) -> None:
    context = build_client_context([slapd.authority], check=True)
    chosen = [random.randrange(size) for _ in range(LOOKUPS)]
    uncached = LdapDirectory(replace(settings, cache_size=0), lambda: context)
    caching = LdapDirectory(replace(settings, cache_lifetime=3600), lambda: context)

    async def look_up(number: int) -> None:
        name = _name(chosen[number])
        assert await uncached.entry_for_login(name, "example.test") is not None

    async def look_up_again(number: int) -> None:
        assert await caching.entry_for_login(_name(0), "example.test") is not None

    await look_up(0)
    await look_up_again(0)
    before = cpu_seconds(slapd.pid)
    cost = await _cost(LOOKUPS, look_up)
    server = (cpu_seconds(slapd.pid) - before) / LOOKUPS * 1e6
    cached = await _cost(LOOKUPS, look_up_again)
    print(f"{'slapd, ldaps: look-up':34}{size:>10,}{cost:>12.1f}{server:>10.1f}{cached:>11.1f}")
    cold, warm = [await _logins(caching, size, cold=cold) for cold in (True, False)]
    print(f"{'':8}logins per CPU-second: {cold:,.0f} (ldaps bind each), {warm:,.0f} (cached)")
    if size == SIZES[0]:
        print(f"{'':8}first answer after slapd is back: {await _recovery(slapd, uncached):.2f} s")
    uncached.close()
    caching.close()


async def _recovery(slapd: Slapd, directory: LdapDirectory) -> float:
    """Seconds from slapd's return to the first look-up that succeeds, the longest of five."""
    longest = 0.0
    for _ in range(5):
        slapd.kill()
        end = time.monotonic() + random.uniform(1, 4)
        while time.monotonic() < end:
            try:
                await directory.entry_for_login(_name(0), "example.test")
            except DirectoryUnavailableError:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(slapd.start)
        back = time.monotonic()
        while True:
            try:
                await directory.entry_for_login(_name(0), "example.test")
                break
            except DirectoryUnavailableError:
                await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - back)
    return longest


def _ldif_file(path: Path, size: int) -> None:
    # One hash for all: making a million is not what is measured.
    value = hash_password(PASSWORD)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as stream:
        stream.write(b"version: 1\n")
        for number in range(size):
            stream.write(b"\n" + _record(number, value))


def _record(number: int, value: str) -> bytes:
    return user(_name(number), userPassword=value)


def _users(size: int) -> Iterator[bytes]:
    # A salted SHA-1 that slapd can check; one for all, as above.
    value = ssha(PASSWORD.reveal())
    for number in range(size):
        yield _record(number, value)


def _settings(directory: Path, slapd: Slapd) -> LdapSettings:
    (directory / "config").mkdir()
    secret = directory / "config" / "ldappassword"
    secret.touch(0o600)
    secret.write_text(READER_PASSWORD)
    options = {
        "local.ugldaphost": slapd.tls_url,
        "local.ugldapbasedn": PEOPLE,
        "local.ugldapbinddn": READER,
        "service.defaultdomain": "example.test",
    }
    settings = ldap_settings(Configuration.of(options), directory)
    assert settings is not None
    return settings


def _resident() -> int:
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _measure(kind: str, size: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="mailfront-bench-"))
    try:
        if kind == "ldif":
            _ldif_file(directory / "users.ldif", size)
            asyncio.run(_ldif(directory / "users.ldif", size))
        else:
            begin = time.monotonic()
            with Slapd(directory / "slapd", _users(size)) as slapd:
                if size == SIZES[-1]:
                    print(f"{'':8}slapadd -q: {time.monotonic() - begin:.0f} s")
                asyncio.run(_ldap(slapd, _settings(directory, slapd), size))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    _measure(sys.argv[1], int(sys.argv[2]))
