"""Private keys lent to SoftHSM as session objects, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from mailfront.errors import KeystoreError
from mailfront.tls.lent_keys import LentKeys
from tests.support.softhsm import SoftHsm, softhsm_library

PROGRAM = """
import gc, ssl, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute
from mailfront.interfaces.secret import Secret
from mailfront.tls.cryptoki import Cryptoki
from mailfront.tls.lent_keys import lent_keys
from mailfront.tls.token_handshakes import signing_threads

library, serial, pin = Path(sys.argv[1]), sys.argv[2], Secret(sys.stdin.read())
key = ec.generate_private_key(ec.SECP384R1())
lend = lent_keys().lend
lent = lend(library, "HSM One", serial, pin, key)
print(lent is lend(library, "HSM One", serial, pin, key), lent.is_there)
other = lend(library, "HSM One", serial, pin, rsa.generate_private_key(65537, 2048))
print(lent.uri != other.uri, "object=" in lent.uri)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
lent_keys().hold(context, lent)
handles = lent._session, lent._handle
identifier = lent._identifier
module = Cryptoki(library)
del lent
gc.collect()
print(module.attribute(*handles, Attribute.ID) == identifier)
del context
gc.collect()
signing_threads().alone(lambda: None)
import time
for _ in range(100):
    if module.attribute(*handles, Attribute.ID) is None:
        break
    time.sleep(0.05)
print(module.attribute(*handles, Attribute.ID))

module.finalise()
print(other.is_there)
again = lend(library, "HSM One", serial, pin, key)
print(again.is_there)
"""


def test_a_key_is_lent_once_and_until_the_last_context_that_uses_it_is_gone(
    tmp_path: Path,
) -> None:
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
    assert finished.stdout.split("\n") == [
        "True True", "True False", "True", "None", "False", "True", "",
    ]  # fmt: skip


def test_keys_that_no_token_signs_with_are_refused() -> None:
    with pytest.raises(KeystoreError, match="RSA keys, and EC keys"):
        LentKeys().lend(softhsm_library(), "x", "1", None, ed25519.Ed25519PrivateKey.generate())
