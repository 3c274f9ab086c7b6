from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.configuration.secret_file import LONGEST_SECRET, read_secret_file
from mailfront.errors import ConfigurationError


def written(directory: Path, content: bytes, mode: int = 0o600) -> Path:
    path = directory / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\n", b"s3cret\nmore\n"])
def test_the_first_line_is_the_secret(tmp_path: Path, content: bytes) -> None:
    assert read_secret_file(written(tmp_path, content)).reveal() == "s3cret"


def test_blanks_belong_to_it(tmp_path: Path) -> None:
    assert read_secret_file(written(tmp_path, b" s3 cret \n")).reveal() == " s3 cret "


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a password"),
        (b"\nsecond\n", "not a password"),
        (b"x" * (LONGEST_SECRET + 1), "not a password"),
        (b"\xff\n", "not UTF-8"),
    ],
)
def test_what_is_no_password_is_refused_without_showing_it(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        read_secret_file(written(tmp_path, content))
    assert "xxxx" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_secret_file(written(tmp_path, b"s3cret", 0o640))


def test_a_missing_file_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="mode 0600"):
        read_secret_file(tmp_path / "nothing")
