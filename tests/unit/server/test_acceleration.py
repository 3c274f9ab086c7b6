"""Between keystore and services: keys that a token is lent, and what happens if it will not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.modules import Module, changing_modules
from mailfront.server.acceleration import Acceleration
from tests.support.keystores import PASSWORD, root_with_keystore, self_signed
from tests.support.softhsm import SoftHsm


class Lending:
    """Lends keys, unless it is to fail; `asked` has label and PIN of each time."""

    def __init__(self) -> None:
        self.failure: TokenError | None = None
        self.asked: list[tuple[str, str]] = []

    def __call__(
        self, library: Path, label: str, serial: str, pin: Secret | None, key: object
    ) -> Any:
        self.asked.append((label, "" if pin is None else pin.reveal()))
        if self.failure is not None:
            raise self.failure
        return self

    uri = "pkcs11:id=%01;type=private"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token("HSM One")
    with hsm.in_this_process(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
        yield hsm


@pytest.fixture
def root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with changing_modules(root) as modules:
        modules.add(Module("softhsm", hsm.library, default_for=("RSA",)))
    write_password(root.sslpassword_conf, "HSM One", hsm.pins["HSM One"])
    return root


@pytest.fixture
def keystore(root: ServerRoot) -> Iterator[Keystore]:
    with InternalToken.open(root.certificate_database, PASSWORD) as internal:
        for family in ("rsa", "ec"):
            key, certificate = self_signed(f"{family}.example.test", family=family)
            internal.add_key_and_certificate(family, key, [certificate])
        keystore = Keystore(root, internal)
        keystore.look_at_tokens()
        yield keystore


def test_keys_of_the_mechanism_are_lent_with_the_pin_and_others_are_not(
    root: ServerRoot, keystore: Keystore, hsm: SoftHsm
) -> None:
    lending = Lending()
    acceleration = Acceleration(root, keystore, lend=lending)
    assert acceleration.require("rsa").accelerator == "HSM One"
    assert acceleration.require("ec").accelerator == ""
    lent = acceleration.credentials("internal:rsa")
    assert lent.module == hsm.library
    assert lent.lent is lending
    assert b"PKCS#11 PROVIDER URI" in lent.key_pem
    pin = hsm.pins["HSM One"].reveal()
    assert lent.passphrase == pin.encode()
    assert lending.asked == [("HSM One", pin)]
    assert acceleration.credentials("ec").module is None
    assert acceleration.warnings() == []


def test_a_key_that_the_token_does_not_take_is_used_in_software_and_that_is_said_once(
    root: ServerRoot, keystore: Keystore, caplog: pytest.LogCaptureFixture
) -> None:
    lending = Lending()
    acceleration = Acceleration(root, keystore, lend=lending)
    lending.failure = TokenError("it takes none")
    assert acceleration.credentials("rsa").module is None
    assert acceleration.require("rsa").accelerator == ""
    (warning,) = acceleration.warnings()
    assert "'rsa'" in warning
    assert "it takes none" in warning
    acceleration.tell()
    acceleration.tell()
    assert caplog.text.count("it takes none") == 1
    assert not acceleration.faulty
    assert not acceleration.take_broken()


def test_a_token_that_does_not_answer_now_has_its_module_begun_anew(
    root: ServerRoot, keystore: Keystore, hsm: SoftHsm
) -> None:
    lending = Lending()
    acceleration = Acceleration(root, keystore, lend=lending)
    lending.failure = TokenError("its session is void", temporary=True)
    acceleration.credentials("rsa")
    assert acceleration.faulty
    assert acceleration.take_broken() == {hsm.library}
    assert acceleration.take_broken() == frozenset()
    lending.failure = None
    acceleration.try_again()
    assert acceleration.credentials("rsa").lent is lending
    assert not acceleration.faulty


def test_what_was_refused_is_tried_at_growing_intervals(
    root: ServerRoot, keystore: Keystore
) -> None:
    lending, clock = Lending(), Clock()
    acceleration = Acceleration(root, keystore, lend=lending, clock=clock)
    lending.failure = TokenError("it takes none")
    tries = []
    for clock.now in range(1000):
        acceleration.looked()
        before = len(lending.asked)
        acceleration.credentials("rsa")
        if len(lending.asked) > before:
            tries.append(clock.now)
    assert len(tries) < 12
    with changing_modules(root) as modules:
        modules.set_default_for("softhsm", ["RSA", "EC"])
    before = len(lending.asked)
    acceleration.looked()
    acceleration.credentials("rsa")
    assert len(lending.asked) == before + 1


def test_what_cannot_be_loaded_with_the_token_is_loaded_without_it(
    root: ServerRoot, keystore: Keystore
) -> None:
    acceleration = Acceleration(root, keystore, lend=Lending())
    loaded: list[Sequence[str]] = []

    def load(nicknames: Sequence[str]) -> bool:
        if any(acceleration.credentials(each).module for each in nicknames):
            raise TokenError("it does not sign", temporary=True)
        loaded.append(nicknames)
        return True

    assert acceleration.guarded(load)(["ec", "rsa"])
    assert loaded == [["ec", "rsa"]]
    assert acceleration.faulty

    def refuse(nicknames: Sequence[str]) -> bool:
        raise TokenError("another token is gone", temporary=True)

    with pytest.raises(TokenError):
        acceleration.guarded(refuse)(["ec", "HSM Two:x"])


def test_everything_else_is_the_keystores_own(root: ServerRoot, keystore: Keystore) -> None:
    acceleration = Acceleration(root, keystore, lend=Lending())
    assert {record.nickname for record in acceleration.inventory().records} == {"ec", "rsa"}
    with pytest.raises(KeystoreError):
        acceleration.require("absent")
