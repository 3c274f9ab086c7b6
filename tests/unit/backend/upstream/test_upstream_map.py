from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.backend.upstream.upstream_map import HERE, load_upstream_map, parse_upstream_map
from mailfront.configuration.upstream_list import parse_upstreams
from mailfront.errors import ConfigurationError, ConfigurationProblems

PATH = Path("upstream_map")
ONE = parse_upstreams("imaps://store1", ("imap",))
POP = parse_upstreams("pops://store1", ("pop",))
MAP = """\
# who is where
alice@example.test   imaps://store1,pops://store1
Bob@Example.Test     imaps://store1   # POP3 as for everybody
@example.org         embedded:
carol@example.org    imaps://store1
"""


def test_an_address_goes_before_its_domain() -> None:
    found = parse_upstream_map(MAP.split("\n"), PATH)
    assert found.find("alice@example.test", "imap") == ONE
    assert found.find("alice@example.test", "pop") == POP
    assert found.find("bob@example.test", "imap") == ONE
    assert found.find("dave@example.org", "imap") == HERE
    assert found.find("carol@example.org", "imap") == ONE


def test_what_no_line_says_goes_where_everybody_goes() -> None:
    found = parse_upstream_map(MAP.split("\n"), PATH)
    assert found.find("bob@example.test", "pop") is None
    assert found.find("eve@example.com", "imap") is None
    # A line for an address that names one service leaves the other to the line of the domain.
    assert found.find("carol@example.org", "pop") == HERE
    assert found.targets("pop") == {POP, HERE}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("alice@example.test", "no upstream follows"),
        ("alice imaps://store1", "an address has"),
        ("@ imaps://store1", "domain"),
        ("a@b.test ftp://store1", "does not begin with"),
        ("a@b.test imaps://store1,embedded:", "stands alone"),
        ("a@b.test imaps://store1 imaps://store2", "names no host|does not begin|store1"),
        ("a@b.test imap://user@store1", "holds a user name"),
    ],
)
def test_a_mistake_is_told_with_its_line(line: str, complaint: str) -> None:
    with pytest.raises(ConfigurationProblems, match=complaint) as caught:
        parse_upstream_map(["", line], PATH)
    assert str(caught.value).startswith("upstream_map:2: ")


def test_nothing_may_stand_twice_and_all_mistakes_are_told() -> None:
    lines = ["a@b.test embedded:", "A@B.test embedded:", "x"]
    with pytest.raises(ConfigurationProblems, match="twice") as caught:
        parse_upstream_map(lines, PATH)
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_no_file_is_an_empty_map_and_octets_are_refused(tmp_path: Path) -> None:
    assert load_upstream_map(tmp_path / "none").find("a@b.test", "imap") is None
    path = tmp_path / "map"
    path.write_bytes(b"# fine\n\xff\n")
    with pytest.raises(ConfigurationError, match="map:2: not UTF-8"):
        load_upstream_map(path)


def test_users_of_the_same_servers_share_one_list() -> None:
    found = parse_upstream_map(["a@b.test imaps://s", "c@b.test imaps://s"], PATH)
    assert found.find("a@b.test", "imap") is found.find("c@b.test", "imap")


@given(st.text(max_size=200))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        parse_upstream_map(text.split("\n"), PATH)
    except ConfigurationProblems:
        return
