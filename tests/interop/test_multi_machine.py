"""The shape of several machines, in network namespaces: `tests/multi_machine/run` as it is.

Only where namespaces can be made (as root, and not in every container); there it always runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.multi_machine.network import can_make_namespaces
from tests.support.peers import require_program

RUN = Path(__file__).parents[1] / "multi_machine" / "run"


@pytest.mark.timeout(300)
def test_clients_go_on_at_the_other_front_end_when_one_is_killed() -> None:
    require_program("ip", "iproute2")
    if why := can_make_namespaces():
        pytest.skip(why)
    done = subprocess.run(
        [RUN],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "PYTHON": sys.executable},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout
    assert done.stdout.count("is killed (-9)") == 2
