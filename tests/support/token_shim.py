"""A PKCS#11 module around SoftHSM that can be slow, be gone, restart, and that counts.

Compiled from `token_shim.c` where the test runs, which needs a C compiler.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers import require_program
from tests.support.softhsm import SoftHsm

_SOURCE = Path(__file__).with_suffix(".c")


@dataclass(frozen=True, slots=True)
class Counts:
    """What was asked of the token since the shim was made, by all processes together."""

    signatures: int
    sessions_opened: int
    sessions_closed: int
    logins: int


class TokenShim:
    """The module in `directory`; its tokens are those of `hsm`. Each has its own copy of SoftHSM,
    so that several of them are several modules."""

    def __init__(self, directory: Path, hsm: SoftHsm) -> None:
        self._control = directory / "control"
        self._control.mkdir(parents=True)
        self.library = directory / "token_shim.so"
        compiler = require_program("cc", "gcc")
        command = [str(compiler), "-shared", "-fPIC", "-O2", "-o", str(self.library)]
        subprocess.run([*command, str(_SOURCE), "-ldl", "-lpthread"], check=True, timeout=60)
        copy = directory / "softhsm.so"
        shutil.copy(hsm.library, copy)
        lines = (copy, self._control, hsm.configuration)
        Path(f"{self.library}.conf").write_text("".join(f"{line}\n" for line in lines))

    def remove_token(self) -> None:
        """The token is gone from now on."""
        (self._control / "gone").touch()

    def return_token(self) -> None:
        """It is back, with its sessions as they were."""
        (self._control / "gone").unlink()

    def restart(self) -> None:
        """Void every session, login and handle."""
        with (self._control / "restarts").open("a") as file:
            file.write("x")

    def refuse_objects(self) -> None:
        """Take no key from outside."""
        (self._control / "refusing").touch()

    def delay(self, milliseconds: int) -> None:
        """Let each signature take that long."""
        (self._control / "delay").write_text(str(milliseconds))

    @property
    def counts(self) -> Counts:
        """What was asked of the token so far."""
        octets = (self._control / "counts").read_bytes()
        return Counts(*struct.unpack_from("=4Q", octets))
