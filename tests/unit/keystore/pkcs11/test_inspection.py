"""What a library says of itself, asked in another process."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.errors import TokenError
from mailfront.keystore.pkcs11.inspection import describe_library, inspect_library
from tests.support.softhsm import SoftHsm


def test_a_module_tells_its_slots_tokens_and_mechanisms(hsm: SoftHsm) -> None:
    found = inspect_library(hsm.library)
    assert found.manufacturer == "SoftHSM"
    slot = next(slot for slot in found.slots if slot.token == "HSM One")
    assert {"RSA_PKCS", "ECDSA"} <= set(slot.mechanisms)
    assert found == describe_library(hsm.library)


def test_a_library_that_is_no_module_is_refused(hsm: SoftHsm) -> None:
    other = next(Path("/usr/lib").glob("*-linux-gnu/libz.so.1"), None)
    if other is None:
        pytest.skip("no zlib at its usual place")
    with pytest.raises(TokenError, match="C_GetFunctionList"):
        inspect_library(other)
