"""A SoftHSM token for the tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest

from tests.support.softhsm import SoftHsm


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    """SoftHSM with the empty token `HSM One`, seen by this process."""
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token("HSM One")
    with hsm.in_this_process():
        yield hsm


@pytest.fixture
def session(hsm: SoftHsm) -> Iterator[pkcs11.Session]:
    """A read-write session on that token, logged in."""
    with hsm.session("HSM One") as session:
        yield session
