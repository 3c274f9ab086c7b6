"""Policy files: what is taken, what is refused, and what we publish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import MtaStsError
from mailfront.outgoing.mta_sts.policy import (
    LONGEST_MAX_AGE,
    is_server_pattern,
    parse_policy,
    policy_text,
)
from mailfront.outgoing.transport_policy import StsMode, StsPolicy

FILE = b"""version: STSv1
mode: enforce
mx: Mail.example.com
mx: *.example.net.
max_age: 604800
"""


def test_a_policy_is_read() -> None:
    policy = parse_policy(FILE)
    assert policy.mode is StsMode.ENFORCE
    assert policy.max_age == 604_800
    assert policy.mx == ("mail.example.com", "*.example.net")
    assert policy.lines[0] == "version: STSv1"


def test_lines_may_end_with_carriage_returns_and_the_last_with_nothing() -> None:
    crlf = FILE.replace(b"\n", b"\r\n")
    assert parse_policy(crlf) == parse_policy(FILE) == parse_policy(crlf.rstrip())


def test_of_a_field_that_stands_twice_the_first_counts() -> None:
    assert parse_policy(FILE + b"mode: none\nmax_age: 1\n").mode is StsMode.ENFORCE


def test_unknown_fields_are_passed_over() -> None:
    assert parse_policy(FILE + "later: ünknown\n".encode()).max_age == 604_800


def test_an_age_of_more_than_a_year_is_a_year() -> None:
    assert parse_policy(FILE.replace(b"604800", b"9999999999")).max_age == LONGEST_MAX_AGE


def test_the_mode_none_needs_no_servers() -> None:
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 60").mx == ()


@pytest.mark.parametrize(
    ("present", "instead"),
    [
        (b"version: STSv1\n", b""),
        (b"STSv1", b"STSv2"),
        (b"enforce", b"Enforce"),
        (b"mode: enforce\n", b""),
        (b"604800", b"a week"),
        (b"604800", b"-1"),
        (b"604800", b"10000000000"),
        (b"mx: Mail.example.com\nmx: *.example.net.\n", b""),
        (b"Mail.example.com", b"mail..example.com"),
        (b"Mail.example.com", b"mail.*.com"),
        (b"Mail.example.com", b"*"),
        (b"Mail.example.com", b"192.0.2.1:25"),
        (b"Mail.example.com", "bücher.example".encode()),
        (b"mode", b"\xff"),
        (b"mx: Mail", b"\nmx: Mail"),
        (b"mode: ", b"mode "),
        (b"enforce", b"enforce\x00"),
        (b"Mail.example.com", b"a" * 64 + b".example"),
    ],
)
def test_what_breaks_the_grammar_is_no_policy(present: bytes, instead: bytes) -> None:
    assert present in FILE
    with pytest.raises(MtaStsError):
        parse_policy(FILE.replace(present, instead))


@given(st.binary(max_size=300) | st.binary(max_size=40).map(FILE.__add__))
def test_any_octets_are_a_policy_or_refused(content: bytes) -> None:
    try:
        policy = parse_policy(content)
    except MtaStsError:
        return
    assert 0 <= policy.max_age <= LONGEST_MAX_AGE
    assert all(map(is_server_pattern, policy.mx))


def test_what_we_publish_is_what_others_read() -> None:
    text = policy_text(StsMode.TESTING, 86_400, ("mx1.example.test", "*.example.test"))
    policy = parse_policy(text.encode())
    assert (policy.mode, policy.max_age) == (StsMode.TESTING, 86_400)
    assert policy.mx == ("mx1.example.test", "*.example.test")
    assert text.endswith("max_age: 86400\r\n")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("mx9.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
        ("example.com", False),
        ("*.example.net", True),
        ("", False),
    ],
)
def test_a_wildcard_stands_for_one_label(host: str, allowed: bool) -> None:
    policy = parse_policy(FILE)
    assert StsPolicy("example.com", policy.mode, policy.mx).allows(host) is allowed
