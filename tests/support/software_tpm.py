"""A TPM 2.0 in software (swtpm) as a PKCS#11 token (tpm2-pkcs11), in a directory of the test's own.

There is no resource manager between, as there is before a real TPM: what a process leaves loaded in
it, `flush` has to be called for.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

from mailfront.interfaces.secret import Secret
from tests.support.peers import require_program
from tests.support.waiting import eventually

_DEADLINE = 60


class SoftwareTpm:
    """A running swtpm, used in a `with` statement."""

    def __init__(self, directory: Path) -> None:
        library = next(Path("/usr/lib").glob("*-linux-gnu/pkcs11/libtpm2_pkcs11.so"), None)
        if library is None:
            missing = "tpm2-pkcs11 is not installed (Debian package libtpm2-pkcs11-1)"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        self.library = library
        self._socket = directory / "socket"
        self._state, self._store = directory / "state", directory / "store"
        for made in (self._state, self._store):
            made.mkdir(parents=True)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that uses the token."""
        connection = f"swtpm:path={self._socket}"
        return {
            **os.environ,
            "TPM2_PKCS11_STORE": str(self._store),
            "TPM2_PKCS11_TCTI": connection,
            "TPM2TOOLS_TCTI": connection,
            "TSS2_LOG": "all+NONE",
        }

    def new_token(self, label: str) -> Secret:
        """Make a token and return the PIN of its user."""
        pin, officer = secrets.token_hex(6), secrets.token_hex(6)
        tool = (str(require_program("pkcs11-tool", "opensc")), "--module", str(self.library))
        self._run({"SO": officer}, *tool, "--init-token", "--slot-index", "0", "--label", label,
                  "--so-pin", "env:SO")  # fmt: skip
        self.flush()
        self._run({"SO": officer, "USER": pin}, *tool, "--token-label", label, "--init-pin",
                  "--login", "--so-pin", "env:SO", "--new-pin", "env:USER")  # fmt: skip
        self.flush()
        return Secret(pin)

    def __enter__(self) -> SoftwareTpm:
        program = str(require_program("swtpm"))
        control = f"type=unixio,path={self._socket}.ctrl"
        self._server = subprocess.Popen(
            [program, "socket", "--tpm2", "--tpmstate", f"dir={self._state}", "--ctrl", control,
             "--server", f"type=unixio,path={self._socket}",
             "--flags", "not-need-init,startup-clear"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(self._socket.exists, "swtpm makes no socket")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(_DEADLINE)

    def flush(self) -> None:
        """Unload what processes that have ended left in the TPM."""
        self._run({}, str(require_program("tpm2_flushcontext", "tpm2-tools")), "-t")

    def _run(self, secret: dict[str, str], *command: str) -> None:
        finished = subprocess.run(
            command,
            env={**self.environment, **secret},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
