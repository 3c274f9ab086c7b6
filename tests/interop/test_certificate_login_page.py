"""The page about certificate login tells what its commands print: all of them are run, with slapd,
openssl, curl and swaks, against the running server."""

from __future__ import annotations

import pytest

from docs.generate_certificates_page import CERTIFICATE_LOGIN, generated
from tests.support.peers import require_program


@pytest.mark.timeout(1000)
def test_the_page_is_current() -> None:
    for program in ("openssl", "slapd", "ldapmodify", "curl", "swaks"):
        require_program(program)
    page = CERTIFICATE_LOGIN.read_text("utf-8")
    assert generated(page) == page, "run: python docs/generate_certificates_page.py"
