"""SoftHSM 2: PKCS#11 tokens in a directory of the test's own, and OpenSC's `pkcs11-tool` on them.

PINs are random and reach the tools in a variable of their environment, never in their arguments.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11
import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.attributes import TolerantAttributes
from mailfront.keystore.pkcs11.modules import Module, changing_modules
from tests.support.peers import require_program

# Debian's place, and those of other distributions.
_LIBRARIES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
)
_DEADLINE = 60


def softhsm_library() -> Path:
    """Return the path of SoftHSM's module; without it the test is skipped (with CI=true, fails)."""
    found = next((path for path in _LIBRARIES if path.exists()), None)
    if found is not None:
        return found
    missing = "SoftHSM is not installed (Debian package softhsm2)"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


class SoftHsm:
    """The tokens of one directory. Processes see them with `environment`."""

    def __init__(self, directory: Path) -> None:
        self.library = softhsm_library()
        self.configuration = directory / "softhsm2.conf"
        self.tokens = directory / "tokens"
        self.tokens.mkdir(parents=True)
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.pins: dict[str, Secret] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that uses these tokens."""
        return {**os.environ, "SOFTHSM2_CONF": str(self.configuration)}

    def new_token(self, label: str) -> Secret:
        """Make an empty token and return the PIN of its user."""
        pin = Secret(secrets.token_hex(8))
        officer = secrets.token_hex(8)
        slot = ("--slot-index", str(len(self.pins)))
        self._tool({"SO_PIN": officer}, "--init-token", *slot, "--label", label,
                   "--so-pin", "env:SO_PIN")  # fmt: skip
        self._tool({"SO_PIN": officer, "USER_PIN": pin.reveal()}, "--init-pin", "--login",
                   "--token-label", label, "--so-pin", "env:SO_PIN",
                   "--new-pin", "env:USER_PIN")  # fmt: skip
        self.pins[label] = pin
        return pin

    def pkcs11_tool(self, label: str, *arguments: object) -> str:
        """Run pkcs11-tool on a token, logged in, and return what it printed."""
        login = ("--login", "--token-label", label, "--pin", "env:USER_PIN")
        return self._tool({"USER_PIN": self.pins[label].reveal()}, *login, *map(str, arguments))

    @contextmanager
    def in_this_process(self) -> Iterator[None]:
        """Let the module show these tokens to this process during the block.

        SoftHSM reads its configuration once, so the module is finalised afterwards.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOFTHSM2_CONF", str(self.configuration))
            try:
                yield
            finally:
                pkcs11.lib(str(self.library)).finalize()

    @contextmanager
    def session(self, label: str, *, read_write: bool = True) -> Iterator[pkcs11.Session]:
        """Open a session of this process on a token, logged in; within `in_this_process`."""
        token = pkcs11.lib(str(self.library)).get_token(token_label=label)
        pin = self.pins[label].reveal()
        mapper = TolerantAttributes()
        with token.open(rw=read_write, user_pin=pin, attribute_mapper=mapper) as session:
            yield session

    def install_into(self, root: ServerRoot) -> None:
        """Install the module in a server root, and write the PINs of all tokens there."""
        with changing_modules(root) as modules:
            modules.add(Module("softhsm", self.library))
        for label, pin in self.pins.items():
            write_password(root.sslpassword_conf, label, pin)

    def _tool(self, secret: dict[str, str], *arguments: str) -> str:
        program = require_program("pkcs11-tool", "opensc")
        finished = subprocess.run(
            [str(program), "--module", str(self.library), *arguments],
            env={**self.environment, **secret},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout
