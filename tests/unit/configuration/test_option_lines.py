"""The grammar of msg.conf."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.option_lines import (
    LARGEST_FILE,
    LONGEST_LINE,
    MOST_LINES,
    Setting,
    parse_option_lines,
    setting_line,
)


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        (b"a.b = c", "a.b", "c"),
        (b"a.b=c", "a.b", "c"),
        (b"  a.b\t=\tc d  ", "a.b", "c d"),
        (b"a.b =", "a.b", ""),
        (b'a.b = ""', "a.b", ""),
        (b'a.b = " c # d "', "a.b", " c # d "),
        (b'a.b = "say \\"hello\\" \\\\"', "a.b", 'say "hello" \\'),
        (b"a.b = c=d", "a.b", "c=d"),
        (b"a.b = c\r", "a.b", "c"),
        ("a.b = Zertifikat für IMAP".encode(), "a.b", "Zertifikat für IMAP"),
    ],
)
def test_a_line_sets_an_option(line: bytes, name: str, text: str) -> None:
    parsed = parse_option_lines(b"# comment\n\n" + line + b"\n")
    assert parsed.settings == (Setting(3, name, text),)
    assert parsed.faults == ()


@pytest.mark.parametrize(
    "line",
    [
        b"service.imap.port 143",
        b"= 143",
        b"9lives = yes",
        b"a b = c",
        b"a.b = c # a comment behind the value",
        b'a.b = "no end',
        b'a.b = "ended" and more',
        b'a.b = say "hello"',
        b'a.b = "bad escape \\n"',
        b"a.b = \xff",
        b"a.b = " + b"x" * LONGEST_LINE,
        b"\xef\xbb\xbfa.b = c",
        b"\x00",
    ],
)
def test_a_line_outside_the_grammar_is_a_fault_and_hides_no_other_line(line: bytes) -> None:
    parsed = parse_option_lines(b"x.y = 1\n" + line + b"\nz = 2\n")
    assert [fault.line for fault in parsed.faults] == [2]
    assert parsed.faults[0].what
    assert parsed.faults[0].remedy
    assert [setting.name for setting in parsed.settings] == ["x.y", "z"]


@pytest.mark.parametrize("content", [b"#" * (LARGEST_FILE + 1), b"\n" * (MOST_LINES + 1)])
def test_a_file_beyond_the_bounds_is_one_fault_and_is_not_kept(content: bytes) -> None:
    parsed = parse_option_lines(content)
    assert len(parsed.faults) == 1
    assert parsed.raw == ()


@given(st.binary(max_size=400))
def test_any_bytes_are_taken_apart_and_come_back_unchanged(content: bytes) -> None:
    parsed = parse_option_lines(content)
    assert parsed.changed({}).removesuffix(b"\n") == content.removesuffix(b"\n")


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=200))
def test_whatever_is_written_is_read_back(text: str) -> None:
    line = setting_line("a.b", text)
    assert parse_option_lines(line.encode()).settings == (Setting(1, "a.b", text),)


def test_a_change_replaces_the_line_and_keeps_comments_order_and_faulty_lines() -> None:
    content = b"# head\na = 1\nthis is wrong\n  b  =  2\n# tail"
    changed = parse_option_lines(content).changed({"a": "one # more", "b": None})
    assert changed == b'# head\na = "one # more"\nthis is wrong\n# tail\n'


def test_a_new_setting_goes_behind_the_comment_that_shows_it() -> None:
    content = b"# About a\n#a = 1\n# About b\n#b = 2\n"
    assert parse_option_lines(content).changed({"a": "9"}) == (
        b"# About a\n#a = 1\na = 9\n# About b\n#b = 2\n"
    )


def test_a_new_setting_that_no_comment_shows_goes_to_the_end() -> None:
    assert parse_option_lines(b"#b = 2").changed({"a": "9"}) == b"#b = 2\na = 9\n"


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert parse_option_lines(b"#a = 1\n").changed({"a": None}) == b"#a = 1\n"
