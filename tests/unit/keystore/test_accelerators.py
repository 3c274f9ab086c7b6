"""Which token signs with keys of the certificate database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mailfront.keystore.accelerators import accelerator_faults, accelerator_for
from mailfront.keystore.pkcs11.modules import Module
from mailfront.keystore.pkcs11.sessions import TokenDescription
from mailfront.keystore.pkcs11.survey import SurveyedToken

LIBRARY = Path("/opt/one.so")
ONE = Module("one", LIBRARY, default_for=("RSA", "AES"))


def token(label: str, *, module: str = "one", fault: str = "") -> SurveyedToken:
    description = TokenDescription(
        module=module, slot=0, slot_description="", label=label, model="", serial="1",
        manufacturer="", initialised=True, login_required=True, pin_initialised=True,
        protected_path=False, write_protected=False, pin_count_low=False, pin_final_try=False,
        pin_locked=False,
    )  # fmt: skip
    return SurveyedToken(description, LIBRARY, fault)


def test_the_first_usable_token_of_the_default_module_is_chosen() -> None:
    tokens = [token("other", module="two"), token("a", fault="no PIN"), token("b"), token("c")]
    found = accelerator_for("rsa", [replace(ONE, name="two", default_for=()), ONE], tokens)
    assert found is not None
    assert found.description.label == "b"


def test_keys_of_a_family_that_no_module_is_the_default_for_stay_in_software() -> None:
    assert accelerator_for("ec", [ONE], [token("a")]) is None
    assert accelerator_for("ed25519", [ONE], [token("a")]) is None


def test_a_default_module_without_a_usable_token_is_told_with_the_reason() -> None:
    assert accelerator_for("rsa", [ONE], [token("a", fault="the PIN is locked")]) is None
    (fault,) = accelerator_faults([ONE], [token("a", fault="the PIN is locked")])
    assert "'one'" in fault
    assert "RSA" in fault
    assert "the PIN is locked" in fault
    (fault,) = accelerator_faults([ONE], [])
    assert "none of its tokens is there" in fault


def test_nothing_is_told_of_modules_that_work_or_are_no_default() -> None:
    assert not list(accelerator_faults([ONE], [token("a"), token("b", fault="no PIN")]))
    assert not list(accelerator_faults([replace(ONE, default_for=("AES",))], []))
