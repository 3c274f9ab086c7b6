"""`python -m mailfront.cli.msgcert` is msgcert."""

from __future__ import annotations

import subprocess
import sys


def test_the_module_runs_the_command() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "mailfront.cli.msgcert", "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert finished.returncode == 0
    assert "usage: msgcert" in finished.stdout
    assert finished.stderr == ""
