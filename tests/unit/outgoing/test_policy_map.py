"""config/tls_policy: lines, exceptions for one destination, faults with their place."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ConfigurationError
from mailfront.outgoing.policy_map import (
    Level,
    PolicyMapFile,
    load_policy_map,
    parse_policy_map,
)

DIGEST = "AB:" * 31 + "AB"


def test_comments_blank_lines_and_continuations_are_read_as_postfix_reads_them() -> None:
    text = "# first\n\nexample.org verify\n   match=mx.example.org:.example.net\n.example.com may\n"
    entries = parse_policy_map(text).entries
    assert list(entries) == ["example.org", ".example.com"]
    assert entries["example.org"].matches == ("mx.example.org", ".example.net")
    assert entries["example.org"].line == 3


@pytest.mark.parametrize("level", [each for each in Level if each is not Level.FINGERPRINT])
def test_every_level_is_known_in_any_case(level: Level) -> None:
    found = parse_policy_map(f"example.org {level.value.upper()}").find("example.org")
    assert found is not None
    assert found.level is level


def test_the_nearest_line_is_the_one_that_counts() -> None:
    text = "example.org encrypt\n.example.org may\na.example.org:26 none\n.b.example.org secure\n"
    policies = parse_policy_map(text)

    def level(domain: str, port: int = 25) -> Level | None:
        found = policies.find(domain, port=port)
        return None if found is None else found.level

    assert level("example.org") is Level.ENCRYPT
    assert level("a.example.org") is Level.MAY
    assert level("a.example.org", 26) is Level.NONE
    assert level("x.b.example.org") is Level.SECURE
    assert level("example.com") is None


def test_mail_through_a_smarthost_is_found_by_the_smarthost() -> None:
    policies = parse_policy_map("[mx.isp.test]:587 verify\n[mx.isp.test] may\nexample.org none\n")
    for daemon, port, level in [
        ("mx.isp.test", 587, Level.VERIFY),
        ("[MX.isp.test]", 25, Level.MAY),
    ]:
        found = policies.find("example.org", daemon, port)
        assert found is not None
        assert found.level is level


def test_a_fingerprint_is_a_sha_256_digest() -> None:
    found = parse_policy_map(f"example.org fingerprint match={DIGEST}").find("example.org")
    assert found is not None
    assert found.matches == ("ab" * 32,)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("example.org", 1),
        ("\nexample.org sometimes", 2),
        ("example.org verify protocols=TLSv1", 1),
        ("example.org may match=x.test", 1),
        ("example.org fingerprint", 1),
        ("example.org fingerprint match=abcd", 1),
        ("example.org may\nEXAMPLE.org none", 2),
        ("exa_mple!.org may", 1),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_policy_map(text, Path("tls_policy"))
    assert (caught.value.file, caught.value.line) == (Path("tls_policy"), line)


@given(st.text(max_size=200))
def test_any_text_is_a_map_or_a_fault(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert parse_policy_map(text).find("example.org") is None


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert load_policy_map(tmp_path / "tls_policy").entries == {}


def test_a_changed_file_counts_at_once_and_a_broken_one_not_at_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tls_policy"
    followed = PolicyMapFile(path)
    assert followed.current().find("example.org") is None
    path.write_text("example.org encrypt\n")
    first = followed.current()
    assert first.find("example.org") is not None
    path.write_text("example.org sometimes\n")
    os.utime(path, ns=(1, 1))
    assert followed.current() is first
    assert "stays as it was" in caplog.text


@pytest.mark.parametrize("is_removed", [True, False])
def test_lines_outlast_a_moment_without_them(
    tmp_path: Path, is_removed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tls_policy"
    path.write_text("example.org secure\n")
    times = iter((0.0, 9.0, 10.0))
    followed = PolicyMapFile(path, lambda: next(times))
    if is_removed:
        path.unlink()
    else:
        path.write_text("")
    for _ in range(2):
        assert followed.current().find("example.org") is not None
    assert caplog.text.count("has no lines any more") == 1
    assert followed.current().find("example.org") is None
