"""An NSS database made and changed by NSS's own tools, `certutil` and `pk12util`."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

from mailfront.interfaces.secret import Secret
from tests.support.keystores import password_file
from tests.support.peers import require_program

NSS_PASSWORD = Secret("netscape!")
_PACKAGE = "libnss3-tools"
_DEADLINE = 60


class NssDatabase:
    """A new database in `directory`; `form` is `sql` (cert9.db) or `dbm` (cert8.db)."""

    def __init__(
        self, directory: Path, *, password: Secret = NSS_PASSWORD, form: str = "sql"
    ) -> None:
        directory.mkdir()
        self.directory = directory
        self._form = form
        # certutil's own serial numbers are those of the clock, and repeat when it is quick.
        self._serials = itertools.count(1)
        self.password_file = directory.with_name(directory.name + ".password")
        if password:
            password_file(self.password_file, password)
        else:
            self.password_file.write_text("\n")
        self.certutil("-N", *(() if password else ("--empty-password",)))

    def certutil(self, *arguments: object) -> str:
        """Run certutil on the database and return what it printed."""
        return self._run("certutil", *arguments, "-f", self.password_file)

    def pk12util(self, *arguments: object) -> str:
        """Run pk12util on the database and return what it printed."""
        return self._run("pk12util", *arguments, "-k", self.password_file)

    def self_signed(self, nickname: str, *, key_type: str, trust: str = "u,u,u") -> None:
        """Make a key pair and a self-signed certificate for it."""
        self._make(nickname, "-x", key_type=key_type, trust=trust)

    def authority(self, nickname: str, *, trust: str) -> None:
        """Make the key pair and the certificate of a CA."""
        # certutil asks: is it a CA, how long is a path below it, is the extension critical?
        self._make(nickname, "-x", "-2", key_type="ec", trust=trust, answers="y\n\ny\n")

    def issued(self, nickname: str, issuer: str, *, key_type: str) -> None:
        """Make a key pair and a certificate for it, signed by the CA `issuer` of the database."""
        self._make(nickname, "-c", issuer, key_type=key_type, trust="u,u,u")

    def _make(
        self, nickname: str, *arguments: str, key_type: str, trust: str, answers: str = ""
    ) -> None:
        noise = self.directory.with_name(self.directory.name + ".noise")
        noise.write_bytes(os.urandom(512))
        kind = ("-k", "ec", "-q", "nistp256") if key_type == "ec" else ("-k", "rsa", "-g", "2048")
        subject = f"CN={nickname.replace(',', ' ')}"
        named = ("-n", nickname, "-s", subject, "-t", trust)
        dated = ("-v", "12", "-m", next(self._serials))
        secrets = ("-z", noise, "-f", self.password_file)
        self._run("certutil", "-S", *named, *kind, *dated, *secrets, *arguments, answers=answers)

    def _run(self, tool: str, *arguments: object, answers: str = "") -> str:
        program = require_program(tool, _PACKAGE)
        finished = subprocess.run(
            [str(program), "-d", f"{self._form}:{self.directory}", *map(str, arguments)],
            input=answers,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout
