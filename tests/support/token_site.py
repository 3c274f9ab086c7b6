"""A server root whose certificates are on tokens: SoftHSM behind shims, with modules and PINs.

Everything is made by our own commands, as an operator would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailfront.keystore.passwords import write_password
from tests.support.server import MailServer, run_command
from tests.support.softhsm import SoftHsm
from tests.support.token_shim import TokenShim

NAME = "mail.example.test"


class TokenSite:
    """The tokens of one test. `shim` is the module of the token `HSM One`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.hsm = SoftHsm(directory / "hsm")
        self.hsm.new_token("HSM One")
        self.shim = TokenShim(directory / "shim", self.hsm)

    @contextmanager
    def visible(self) -> Iterator[None]:
        """Let processes that are started meanwhile see the tokens."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOFTHSM2_CONF", str(self.hsm.configuration))
            yield

    def install(self, server: MailServer) -> None:
        """Install the module and write the PIN."""
        self.command(server, "modutil", "-add", "shim", "-libfile", str(self.shim.library))
        write_password(server.root.sslpassword_conf, "HSM One", self.hsm.pins["HSM One"])

    def certify(self, server: MailServer, nickname: str, *options: str) -> None:
        """Make a key and a self-signed certificate on the token."""
        self.certify_on(server, "HSM One", nickname, "--name", NAME, *options)

    def certify_on(self, server: MailServer, token: str, nickname: str, *options: str) -> None:
        """Make them on another token."""
        made = run_command(
            "msgcert", "add-selfsign-cert", "--home", str(server.root.path),
            "--token", token, *options, nickname,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def command(self, server: MailServer, *arguments: str) -> str:
        """Run a command of mailfront that must succeed; return what it printed."""
        finished = server.mailfront(*arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout


def environment_is_clean_of(text: str, pid: int) -> bool:
    """Whether neither arguments nor environment of a process hold the text."""
    process = Path("/proc") / str(pid)
    octets = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    return bool(octets) and text.encode() not in octets
