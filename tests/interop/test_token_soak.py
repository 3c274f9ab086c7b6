"""Handshakes by the thousand leave nothing behind: no session on the token, no memory, no file.

The long form, 24 000 of them, is `python -m bench token --soak`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.server import run_command
from tests.support.token_site import TokenSite
from tests.support.token_soak import soak

STEPS, EACH = 5, 300
WARM = 2
GROWTH = 1024 * 1024
OPTIONS = {"service.handshakesperminute": "0", "service.maxhandshakesperaddress": "0"}


@pytest.mark.parametrize("accelerated", [False, True], ids=["token's own", "accelerator"])
def test_sessions_memory_and_files_stay_flat(
    new_server: NewServer, tmp_path: Path, *, accelerated: bool
) -> None:
    site = TokenSite(tmp_path / "tokens")
    place = "" if accelerated else "HSM One:"
    names = {"local.pop.sslnicknames": f"{place}soak-ec, {place}soak-rsa"}
    with site.visible():
        server = new_server({**OPTIONS, **names})
        site.install(server)
        for kind in ("ec", "rsa"):
            made = run_command(
                "msgcert", "add-selfsign-cert", "--home", str(server.root.path), "--keytype", kind,
                *(() if accelerated else ("--token", "HSM One")), f"soak-{kind}",
            )  # fmt: skip
            assert made.returncode == 0, made.stderr
        if accelerated:
            site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
        with server:
            samples = list(soak(site, server, "pops", STEPS, EACH))
    first, last = samples[WARM], samples[-1]
    made_handshakes = last.handshakes - first.handshakes
    assert last.signatures - first.signatures >= made_handshakes
    assert last.sessions <= first.sessions
    assert last.sessions_opened - first.sessions_opened < made_handshakes / 10
    assert last.files <= first.files + 2
    assert last.resident - first.resident < GROWTH
