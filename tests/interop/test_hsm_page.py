"""The page about tokens tells what its commands print: all of them are run, with SoftHSM and the
running server; and from an empty token to IMAP it takes six of them."""

from __future__ import annotations

import pytest

from docs.generate_certificates_page import HSM, generated
from tests.support.peers import require_program
from tests.support.softhsm import softhsm_library

MOST_COMMANDS = 6


@pytest.mark.timeout(1000)
def test_the_page_is_current() -> None:
    for program in ("openssl", "softhsm2-util"):
        require_program(program)
    softhsm_library()
    page = HSM.read_text("utf-8")
    assert generated(page) == page, "run: python docs/generate_certificates_page.py"


def test_six_commands_lead_from_an_empty_token_to_imap() -> None:
    section = HSM.read_text("utf-8").partition("## From an empty token to IMAP\n")[2]
    shown = section.partition("```console\n")[2].partition("```")[0]
    commands = [line for line in shown.splitlines() if line.startswith("$ ")]
    assert commands[0].startswith("$ softhsm2-util --init-token")
    assert commands[-1].startswith("$ mailfront serve")
    assert len(commands) <= MOST_COMMANDS
