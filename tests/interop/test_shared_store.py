"""Two front ends that share a real Redis: ticket keys, failed logins, and the store going away."""

from __future__ import annotations

import imaplib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.dialogue import unverified_context
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.ports import LOOPBACK
from tests.support.redis import SITE_SECRET, RedisServer
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.waiting import eventually

VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
KEYS = "*:ticket-key:*"
SCORES = "*:login-score:*"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as running:
        yield running


def front_end(template: Path, path: Path, store: RedisServer, **options: str) -> MailServer:
    """A front end over a copy of `template`: the same certificates and users as its twins."""
    shutil.copytree(template, path)
    named = {name.replace("__", "."): text for name, text in options.items()}
    return MailServer(path, store.options(path) | named)


@contextmanager
def site(template: Path, path: Path, store: RedisServer) -> Iterator[tuple[MailServer, MailServer]]:
    with ExitStack() as running:
        one, other = (
            running.enter_context(front_end(template, path / name, store)) for name in ("a", "b")
        )
        yield one, other


def connect(server: MailServer, *more: str) -> str:
    """What openssl's client says of a connection to the IMAP port, ended by LOGOUT."""
    finished = subprocess.run(
        ["openssl", "s_client", "-connect", f"{LOOPBACK}:{server.ports['imaps']}", "-ign_eof",
         *more],
        input=b"a LOGOUT\r\n",
        capture_output=True,
        timeout=30,
        check=False,
    )  # fmt: skip
    return finished.stdout.decode(errors="replace")


def resumes(first: MailServer, second: MailServer, session: Path, *more: str) -> bool:
    """Whether a session begun at the first is resumed at the second."""
    assert "New, TLSv1" in connect(first, *more, "-sess_out", str(session))
    return "Reused, TLSv1" in connect(second, *more, "-sess_in", str(session))


def problems(server: MailServer) -> list[str]:
    finished = server.mailfront("status", "--json")
    assert finished.returncode == 0, finished.stderr
    found: list[str] = json.loads(finished.stdout)["problems"]
    return found


def login(server: MailServer, user: str, password: str) -> bool:
    client = imaplib.IMAP4_SSL(
        LOOPBACK, server.ports["imaps"], ssl_context=unverified_context(), timeout=60
    )
    try:
        client.login(user, password)
    except imaplib.IMAP4.error:
        return False
    finally:
        client.shutdown()
    return True


@VERSIONS
def test_a_session_begun_at_one_front_end_is_resumed_at_the_other(
    server_root_template: Path, tmp_path: Path, store: RedisServer, version: str
) -> None:
    session = tmp_path / "session.pem"
    with site(server_root_template, tmp_path, store) as (one, other):
        eventually(lambda: resumes(one, other, session, version), "resumed at the other")
        assert resumes(other, one, session, version)
        assert "Reused" in connect(one, version, "-sess_in", str(session))
        other.set_option("local.imap.sslnicknames", "pop-cert")
        assert other.mailfront("reload").returncode == 0
        # The certificate there is another one now, so the ticket is not good for it.
        assert "New, TLSv1" in connect(other, version, "-sess_in", str(session))
        assert problems(one) == problems(other) == []


def test_a_session_is_resumed_after_a_restart(
    server_root_template: Path, tmp_path: Path, store: RedisServer
) -> None:
    session = str(tmp_path / "session.pem")
    with front_end(server_root_template, tmp_path / "a", store) as one:
        eventually(lambda: bool(store.client.keys(KEYS)), "a key is stored")
        # Then tickets are sealed with it, and not with one of this process any more.
        time.sleep(6)
        connect(one, "-sess_out", session)
        assert one.stop() == 0
        one.start()
        eventually(lambda: "Reused" in connect(one, "-sess_in", session), "resumed", seconds=5)


def test_the_store_shows_neither_keys_nor_names(
    server_root_template: Path, tmp_path: Path, store: RedisServer
) -> None:
    with front_end(server_root_template, tmp_path / "a", store) as one:
        assert not login(one, ALICE, "a wrong password")
        eventually(lambda: len(store.client.keys(SCORES)) == 2, "address and user are counted")
        eventually(lambda: len(store.client.keys(KEYS)) == 2, "this period's key and the next")
        client = store.client
        names = [name for name in client.keys("*") if isinstance(name, bytes)]
        everything = b"".join(name + (client.dump(name) or b"") for name in names)
        for text in (ALICE, "alice", LOOPBACK, "password", SITE_SECRET[:16]):
            assert text.encode() not in everything
        for name in names:
            assert client.ttl(name) != -1, "everything expires"


def test_an_old_or_foreign_entry_brings_no_key_back(
    server_root_template: Path, tmp_path: Path, store: RedisServer
) -> None:
    session = str(tmp_path / "session.pem")
    with front_end(server_root_template, tmp_path / "a", store) as one:
        eventually(lambda: len(store.client.keys(KEYS)) == 2, "two keys")
        present, following = sorted(store.client.keys(KEYS))
        sealed = store.client.get(present)
        assert isinstance(sealed, bytes)
        # The key of this period, put where the next one's belongs, and another one's where it was.
        store.client.set(following, sealed)
        store.client.set(present, b"\x01" + b"x" * 116)
        eventually(lambda: any("did not seal" in each for each in problems(one)), "it is told")
        connect(one, "-sess_out", session)
        assert "Reused" in connect(one, "-sess_in", session), "it goes on with what it has"
    assert one.log.count("did not seal") == 1


def test_failures_at_one_front_end_count_at_the_other(
    server_root_template: Path, tmp_path: Path, store: RedisServer
) -> None:
    with site(server_root_template, tmp_path, store) as (one, other):
        password = one.password(ALICE)

        # Fewer than the limit at each of the two, more than that together.
        threads = [
            threading.Thread(target=login, args=(server, BOB, f"wrong {number}"))
            for number in range(12)
            for server in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for server in (one, other):
            assert not login(server, BOB, one.password(BOB))
            assert "reason=throttled" in server.log
            assert login(server, ALICE, password), "others log in"


def test_a_store_that_dies_or_hangs_fails_no_login_and_no_handshake(
    server_root_template: Path, tmp_path: Path, store: RedisServer
) -> None:
    session = tmp_path / "session.pem"
    outcomes: list[bool] = []
    over = threading.Event()
    with site(server_root_template, tmp_path, store) as (one, other):
        password = one.password(ALICE)
        eventually(lambda: resumes(one, other, session), "resumed at the other")

        def keep_logging_in(server: MailServer) -> None:
            while not over.is_set():
                outcomes.append(login(server, ALICE, password))

        threads = [threading.Thread(target=keep_logging_in, args=(each,)) for each in (one, other)]
        for thread in threads:
            thread.start()
        try:
            store.kill()
            eventually(lambda: bool(problems(one)) and bool(problems(other)), "it is told")
            # The keys are known, and the next ones too.
            assert resumes(one, other, session)
            store.start()
            eventually(lambda: problems(one) == problems(other) == [], "it is back")
            eventually(lambda: len(store.client.keys(KEYS)) == 2, "the keys are put back")
            assert resumes(one, other, session)
            store.freeze()
            eventually(lambda: bool(problems(one)) and bool(problems(other)), "it is told")
            store.thaw()
            eventually(lambda: problems(one) == problems(other) == [], "it is back")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert resumes(one, other, session)
    assert len(outcomes) > 4
    assert all(outcomes)
    for server in (one, other):
        assert server.log.count("is away") == 2
        assert server.log.count("is back") == 2


def test_a_front_end_starts_without_the_store(server_root_template: Path, tmp_path: Path) -> None:
    absent = RedisServer(tmp_path / "redis")
    session = str(tmp_path / "session.pem")
    with front_end(server_root_template, tmp_path / "a", absent) as one:
        assert login(one, ALICE, one.password(ALICE))
        connect(one, "-sess_out", session)
        assert "Reused" in connect(one, "-sess_in", session)
        assert any("is away" in problem for problem in problems(one))
        with absent:
            eventually(lambda: problems(one) == [], "found")
            assert "Reused" in connect(one, "-sess_in", session), "its own key opens still"


def test_tls_and_a_login_protect_the_way_to_the_store(
    server_root_template: Path, tmp_path: Path
) -> None:
    issuer = Issuer()
    issued = issuer.issue(LOOPBACK)
    certificate, key = tmp_path / "redis.pem", tmp_path / "redis.key"
    certificate_pem_file(certificate, issued.chain)
    key_pem_file(key, issued.key)
    store = RedisServer(tmp_path / "redis", password="opensesame", certificate=certificate, key=key)
    authority = tmp_path / "ca.pem"
    certificate_pem_file(authority, [issuer.root])
    with store, front_end(server_root_template, tmp_path / "a", store) as one:
        eventually(lambda: any("CERTIFICATE_VERIFY" in each for each in problems(one)), "told")
        add = ("add-cert", "--home", str(one.root.path), "-C", "redis-ca", str(authority))
        finished = run_command("msgcert", *add)
        assert finished.returncode == 0, finished.stderr
        eventually(lambda: problems(one) == [], "connected")
        eventually(lambda: len(store.client.keys(KEYS)) == 2, "keys")
        assert "opensesame" not in one.log


def test_a_site_with_another_secret_has_entries_of_its_own(
    server_root_template: Path, tmp_path: Path, store: RedisServer
) -> None:
    one = front_end(server_root_template, tmp_path / "a", store)
    other = front_end(server_root_template, tmp_path / "b", store)
    (other.root.path / "config" / "site.secret").write_text("another secret of a site " * 4)
    with one, other:
        eventually(lambda: len(store.client.keys(KEYS)) == 4, "two keys for each")
        assert problems(one) == problems(other) == []


def test_workers_share_as_front_ends_do(
    server_root_template: Path, tmp_path: Path, store: RedisServer
) -> None:
    session = tmp_path / "session.pem"
    with (
        front_end(server_root_template, tmp_path / "a", store, service__workers="2") as one,
        front_end(server_root_template, tmp_path / "b", store) as other,
    ):
        eventually(lambda: resumes(one, other, session), "resumed at the other")
        assert all("Reused" in connect(one, "-sess_in", str(session)) for _ in range(8))
        threads = [
            threading.Thread(target=login, args=(one, BOB, f"wrong {number}"))
            for number in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for server in (one, one, one, other):
            assert not login(server, BOB, one.password(BOB))
            assert login(server, ALICE, one.password(ALICE))
        assert problems(one) == problems(other) == []
