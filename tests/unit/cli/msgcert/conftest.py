"""A server root with a PKCS#11 token, for the tests of msgcert on tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from tests.support.keystores import root_with_keystore
from tests.support.softhsm import SoftHsm


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    """SoftHSM with the empty token `HSM One`, seen by this process."""
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token("HSM One")
    with hsm.in_this_process():
        yield hsm


@pytest.fixture
def token_root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    """A server root with an empty certificate database, where SoftHSM is installed."""
    root = root_with_keystore(tmp_path / "root")
    hsm.install_into(root)
    return root
