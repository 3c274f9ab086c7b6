from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.imta_lines import (
    MAXIMUM_DEPTH,
    MAXIMUM_LINE_OCTETS,
    MAXIMUM_OCTETS,
    ImtaFile,
)
from mailfront.errors import ConfigurationError


def lines_of(directory: Path, content: bytes | str, **others: str) -> list[tuple[int, str]]:
    path = directory / "imta.cnf"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    for name, text in others.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o600)
    return [(line.number, line.text) for line in ImtaFile(path).lines()]


def refusal(directory: Path, content: bytes | str, **others: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        lines_of(directory, content, **others)
    return str(caught.value)


def test_a_comment_in_the_first_column_is_no_line_and_no_blank_line(tmp_path: Path) -> None:
    assert lines_of(tmp_path, "a\n! b\n\n ! c\n") == [(1, "a"), (3, ""), (4, "! c")]


def test_a_backslash_joins_lines_under_the_number_of_the_first(tmp_path: Path) -> None:
    assert lines_of(tmp_path, "a \\\n  b\\\nc\nd\n") == [(1, "a    b c"), (4, "d")]


def test_a_comment_between_the_parts_of_a_line_is_left_out(tmp_path: Path) -> None:
    assert lines_of(tmp_path, "a \\\n! no\nb\n") == [(1, "a  b")]


def test_line_ends_of_windows_are_taken(tmp_path: Path) -> None:
    assert lines_of(tmp_path, b"a\r\n\r\nb\r\n") == [(1, "a"), (2, ""), (3, "b")]


def test_a_line_that_goes_on_must_go_on(tmp_path: Path) -> None:
    assert "imta.cnf:2: the file ends" in refusal(tmp_path, "a\nb \\\n")


def test_lines_beyond_the_originals_252_octets_are_taken(tmp_path: Path) -> None:
    long = "x" * MAXIMUM_LINE_OCTETS
    assert lines_of(tmp_path, long) == [(1, long)]
    assert "imta.cnf:1: a line of more than" in refusal(tmp_path, long + "x")


def test_an_included_file_stands_in_its_place_without_blank_lines_at_its_end(
    tmp_path: Path,
) -> None:
    found = lines_of(tmp_path, "a\n<rules\nz\n", rules="b\n\nc\n\n\n")
    assert [text for _, text in found] == ["a", "b", "", "c", "z"]


def test_the_originals_name_for_the_directory_is_understood(tmp_path: Path) -> None:
    found = lines_of(tmp_path, "<IMTA_TABLE:rules\n", rules="b\n")
    assert found == [(1, "b")]


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "link"])
def test_files_elsewhere_are_not_included(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("secret\n")
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "link").symlink_to(tmp_path / "outside")
    told = refusal(directory, f"a\n<{name}\n")
    assert "imta.cnf:2:" in told
    assert "is not in" in told
    assert "secret" not in told


def test_a_missing_included_file_is_told_where_it_is_named(tmp_path: Path) -> None:
    assert "imta.cnf:1: cannot read" in refusal(tmp_path, "<nothing\n")


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    assert f"more than {MAXIMUM_DEPTH} deep" in refusal(tmp_path, "<imta.cnf\n")


def test_all_files_together_are_bounded(tmp_path: Path) -> None:
    big = "! comment\n" * (MAXIMUM_OCTETS // 20)
    assert "octets in all" in refusal(tmp_path, "<big\n<big\n<big\n", big=big)


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "imta.cnf"
    path.write_text("a\n")
    path.chmod(0o620)
    with pytest.raises(ConfigurationError, match="may write this file"):
        ImtaFile(path).lines()


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    assert "imta.cnf:1: cannot read" in refusal(tmp_path, "<rules\n")


def test_the_default_of_old_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "imta.cnf"
    path.write_text("! NOT READ YET: this version\na b\n")
    path.chmod(0o600)
    file = ImtaFile(path)
    file.lines()
    assert file.is_of_old


def test_what_was_read_is_known_again_until_it_changes(tmp_path: Path) -> None:
    lines_of(tmp_path, "<rules\n", rules="b\n")
    file = ImtaFile(tmp_path / "imta.cnf")
    file.lines()
    assert [each.path.name for each in file.files] == ["imta.cnf", "rules"]
    assert all(each.is_current() for each in file.files)
    (tmp_path / "rules").write_text("c, and longer\n")
    assert [each.is_current() for each in file.files] == [True, False]


@given(content=st.binary(max_size=400) | st.text("!\\<a \n\r$", max_size=80).map(str.encode))
def test_any_octets_are_lines_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    directory = tmp_path_factory.mktemp("any")
    try:
        found = lines_of(directory, content)
    except ConfigurationError:
        return
    assert all("\n" not in text and text == text.strip() for _, text in found)
