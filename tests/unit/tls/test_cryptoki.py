"""A PKCS#11 module called directly, with SoftHSM, in a process of its own: others initialise it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailfront.errors import TokenError
from mailfront.tls.cryptoki import Cryptoki
from tests.support.softhsm import SoftHsm

PROGRAM = """
import sys
from pathlib import Path
from pkcs11 import Attribute, ObjectClass
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.tls.cryptoki import Cryptoki

library, serial, pin = sys.argv[1], sys.argv[2], Secret(sys.stdin.read())
module = Cryptoki(Path(library))
module.initialise()
module.initialise()
slot = module.slot("HSM One", serial)
session, other = module.open_session(slot), module.open_session(slot)
try:
    module.log_in(session, Secret("wrong"))
except TokenError as failure:
    print(failure.temporary, failure)
module.log_in(session, pin)
module.log_in(other, pin)
made = module.create_object(session, {
    Attribute.CLASS: int(ObjectClass.DATA), Attribute.TOKEN: False, Attribute.PRIVATE: True,
    Attribute.LABEL: "läuft", Attribute.VALUE: b"value",
})
print(module.attribute(other, made, Attribute.LABEL).decode(), module.attribute(other, made, 1))
print(module.attribute(other, made, Attribute.MODULUS), module.attribute(other, 999, 0))
module.close_session(session)
print(module.attribute(other, made, Attribute.LABEL))
try:
    module.close_session(session)
except TokenError as failure:
    print(failure.temporary, failure)
try:
    module.slot("HSM One", "another")
except TokenError as failure:
    print(failure)
module.finalise()
try:
    module.open_session(slot)
except TokenError as failure:
    print(failure.temporary, failure)
"""


def test_sessions_share_login_and_objects_and_faults_are_named(tmp_path: Path) -> None:
    hsm = SoftHsm(tmp_path / "hsm")
    pin = hsm.new_token("HSM One")
    with hsm.in_this_process(), hsm.session("HSM One") as session:
        serial = session.token.serial.decode()
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(hsm.library), serial],
        input=pin.reveal(), env=hsm.environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    wrong, seen, absent, gone, closed, unknown, ended = finished.stdout.splitlines()
    assert wrong.startswith("False")
    assert wrong.endswith("C_Login with CKR_PIN_INCORRECT")
    assert seen == "läuft b'\\x00'"
    assert absent == "None None"
    assert gone == "None"
    assert closed.endswith("C_CloseSession with CKR_SESSION_HANDLE_INVALID")
    assert closed.startswith("True")
    assert "is not there" in unknown
    assert ended.endswith("C_OpenSession with CKR_CRYPTOKI_NOT_INITIALIZED")


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="cannot be loaded"):
        Cryptoki(tmp_path / "absent.so")
    with pytest.raises(TokenError, match="C_GetFunctionList"):
        Cryptoki(Path("libc.so.6"))
