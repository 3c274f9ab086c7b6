"""docs/multiplexor.md, run: its commands put a real Dovecot behind mailfront."""

from __future__ import annotations

import imaplib
import os
import poplib
import re
import ssl
import subprocess
import sys
from pathlib import Path

from tests.conftest import NewServer
from tests.support.dovecot import Dovecot
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE

PAGE = Path(__file__).parents[2] / "docs" / "multiplexor.md"
COMMAND = re.compile(r"^    ((?:configutil|install|mailfront) .*)$", re.MULTILINE)


def commands(section: str) -> list[str]:
    """The commands of one section of the page, in their order."""
    text = PAGE.read_text("utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return COMMAND.findall(text)


def test_the_page_takes_an_operator_of_dovecot_to_a_working_front_end(
    new_server: NewServer,
) -> None:
    server = new_server()
    # Dovecot knows no password of alice's that mailfront could give it.
    with Dovecot({ALICE: "unknown to mailfront"}) as dovecot:
        dovecot.deliver(ALICE, b"Subject: behind\r\n\r\nbody\r\n")
        server.choose_ports()
        steps = commands("Dovecot behind mailfront")
        assert len(steps) == 5
        for step in steps:
            command = step.replace("10143", str(dovecot.ports["imap"]))
            command = command.replace("10110", str(dovecot.ports["pop"]))
            done = subprocess.run(
                ["bash", "-c", command],
                env=os.environ
                | {
                    "MAILFRONT_HOME": str(server.root.path),
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                },
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            assert "upstream:" not in done.stderr, done.stderr
        with server:
            context = ssl._create_unverified_context()
            client = imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=context)
            client.login(ALICE, server.password(ALICE))
            assert client.select() == ("OK", [b"1"])
            client.logout()
            pop = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=context)
            pop.user(ALICE)
            pop.pass_(server.password(ALICE))
            assert pop.stat()[0] == 1
            pop.quit()
