"""When tokens are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.modules import Module, changing_modules
from mailfront.keystore.pkcs11.sessions import change_file
from mailfront.server.token_watch import INTERVAL, TokenWatch
from mailfront.tls.token_handshakes import signing_threads
from tests.support.keystores import PASSWORD, root_with_keystore


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


@pytest.fixture
def keystore(root: ServerRoot) -> Iterator[Keystore]:
    with InternalToken.open(root.certificate_database, PASSWORD) as internal:
        yield Keystore(root, internal)


def install(root: ServerRoot) -> None:
    with changing_modules(root) as modules:
        modules.add(Module("missing", root.path / "missing.so"))


@pytest.fixture
def watch(root: ServerRoot, keystore: Keystore, clock: Clock) -> TokenWatch:
    install(root)
    signing_threads().were_suspected()
    return TokenWatch(root, keystore, clock)


def test_without_modules_nothing_is_ever_due(
    root: ServerRoot, keystore: Keystore, clock: Clock
) -> None:
    watch = TokenWatch(root, keystore, clock)
    clock.now += 10 * INTERVAL
    assert not watch.due(gone=False)
    install(root)
    assert watch.due(gone=False)
    watch.look()
    assert not watch.due(gone=False)


def test_a_look_is_due_every_minute(watch: TokenWatch, clock: Clock) -> None:
    clock.now += INTERVAL - 1
    assert not watch.due(gone=False)
    clock.now += 1
    assert watch.due(gone=False)
    watch.look()
    assert not watch.due(gone=False)


def test_a_change_of_pins_or_of_a_token_makes_it_due(watch: TokenWatch, root: ServerRoot) -> None:
    write_password(root.sslpassword_conf, "HSM", Secret("x"))
    assert watch.due(gone=False)
    assert not watch.due(gone=False)
    change_file(root).touch()
    assert watch.due(gone=False)


def test_while_a_token_is_gone_looks_become_rarer(watch: TokenWatch, clock: Clock) -> None:
    waited = []
    for _ in range(8):
        begin = clock.now
        while not watch.due(gone=True):
            clock.now += 1
        waited.append(clock.now - begin)
        watch.look()
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60]
    assert not watch.due(gone=False)
    clock.now += 1
    assert watch.due(gone=True)


def test_a_token_that_did_not_sign_is_looked_at_but_not_for_every_handshake(
    watch: TokenWatch, clock: Clock
) -> None:
    signing_threads().suspect()
    assert not watch.due(gone=False)
    clock.now += 2
    assert watch.due(gone=False)
    watch.look()
    signing_threads().suspect()
    assert not watch.due(gone=False)
