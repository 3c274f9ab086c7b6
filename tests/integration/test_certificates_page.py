"""The page about certificates tells what its commands print: all of them are run."""

from __future__ import annotations

import pytest

from docs.generate_certificates_page import CERTIFICATES, PageError, generated
from tests.support.peers import require_program


@pytest.mark.timeout(1000)
def test_the_page_is_current() -> None:
    require_program("openssl")
    page = CERTIFICATES.read_text("utf-8")
    assert generated(page) == page, "run: python docs/generate_certificates_page.py"


def test_outputs_are_replaced_and_hidden_commands_run_unseen() -> None:
    page = """\
Text stays.

<!-- console
$ word=two
-->

```console
$ echo one; echo $word
what it printed last year
$ cat <<'END'
> $ no command
> END
```
"""
    assert generated(page) == page.replace("what it printed last year\n", "one\ntwo\n").replace(
        "> END\n", "> END\n$ no command\n"
    )


def test_a_command_that_fails_stops_the_page() -> None:
    with pytest.raises(PageError, match=r"\$ false\nexit status 1"):
        generated("```console\n$ false\n```\n")


def test_equal_fingerprints_stay_equal_and_dates_keep_their_distance() -> None:
    first, second = "AB:" * 31 + "AB", "CD:" * 31 + "CD"
    page = f"```console\n$ echo {first} {second} {first} {first[:11]}\n"
    page += "$ date -d '+10 days' '+%Y-%m-%d'\n```\n"
    lines = generated(page).splitlines()
    one, two, three, short = lines[2].split()
    assert one == three != two
    assert one.startswith(short)
    assert lines[4] == "2026-05-14"
