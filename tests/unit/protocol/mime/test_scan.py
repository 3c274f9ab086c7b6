"""The MIME scan: offsets of every part, whatever the bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.mime.scan import NESTING_LIMIT, PART_LIMIT, Part, scan

MESSAGES = sorted((Path(__file__).parents[3] / "corpus" / "messages").glob("*.eml"))
# Pieces of which hostile messages are made.
PIECES = st.sampled_from(
    [
        b"\n", b"\r\n", b"\r\n\r\n", b"\r", b"\x00", b"text", b" ", b":", b"--", b"--a", b"--ab",
        b"--a--", b"\n--a\n", b"\r\n--ab--\r\n", b"Content-Type: multipart/mixed; boundary=a\r\n",
        b"Content-Type: multipart/digest; boundary=ab\r\n", b"Content-Type: message/rfc822\r\n",
        b"Content-Type: text/html\n", b"Subject: x\r\n", b"\xff",
    ]
)  # fmt: skip
HOSTILE = st.lists(PIECES, max_size=60).map(b"".join)


class CountingBytes(bytes):
    """Counts the octets that `find` and `count` look at."""

    looked_at = 0

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        stop = len(self) if end is None else min(end, len(self))
        found = super().find(sub, start, stop)
        CountingBytes.looked_at += max((stop if found < 0 else found) - start, 0)
        return found

    def count(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        stop = len(self) if end is None else min(end, len(self))
        CountingBytes.looked_at += stop - start
        return super().count(sub, start, stop)


def octets_looked_at(message: bytes) -> int:
    CountingBytes.looked_at = 0
    scan(CountingBytes(message))
    return CountingBytes.looked_at


def everything_inside(part: Part) -> list[Part]:
    inner = [*part.children, *([part.message] if part.message else [])]
    return [part, *(each for child in inner for each in everything_inside(child))]


def body(message: bytes, part: Part | None) -> bytes:
    assert part is not None
    return message[part.body_start : part.body_end]


def assert_offsets_are_nested(message: bytes, part: Part) -> None:
    assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(message)
    assert part.line_count == body(message, part).count(b"\n")
    place = part.body_start
    for child in [*part.children, *([part.message] if part.message else [])]:
        assert place <= child.header_start
        assert child.body_end <= part.body_end
        assert_offsets_are_nested(message, child)
        place = child.body_end


@given(HOSTILE | st.binary(max_size=300))
def test_any_bytes_are_a_message_whose_parts_lie_inside_each_other(message: bytes) -> None:
    assert_offsets_are_nested(message, scan(message))


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_parts_of_awkward_messages_lie_inside_each_other(path: Path) -> None:
    message = path.read_bytes()
    assert_offsets_are_nested(message, scan(message))


def test_a_body_begins_after_the_empty_line() -> None:
    message = b"Subject: x\r\n\r\nbody\r\n"
    part = scan(message)
    assert message[: part.body_start] == b"Subject: x\r\n\r\n"
    assert body(message, part) == b"body\r\n"
    assert part.line_count == 1


@pytest.mark.parametrize("message", [b"", b"\r\n", b"\n", b"Subject: x", b"Subject: x\r\n\r\n"])
def test_a_message_may_lack_a_body(message: bytes) -> None:
    assert scan(message).size == 0


def test_a_message_may_lack_a_header() -> None:
    message = b"\r\nbody"
    assert body(message, scan(message)) == b"body"


def test_the_line_end_before_a_boundary_belongs_to_the_boundary() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"
    assert body(message, scan(message).part_at((1,))) == b"one"


def test_a_multipart_without_final_boundary_ends_with_the_part_around_it() -> None:
    message = (Path(MESSAGES[0].parent) / "missing_final_boundary.eml").read_bytes()
    whole = scan(message)
    assert body(message, whole.part_at((2, 1))) == b"second"
    assert body(message, whole.part_at((3,))) == b"<p>third\r\n"


def test_a_multipart_without_boundary_parameter_is_opaque() -> None:
    part = scan(b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\none\r\n--x--\r\n")
    assert not part.is_multipart
    assert part.children == []


def test_of_two_boundaries_that_fit_a_line_the_longer_is_meant() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\n"
        b"Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\none\n--ab\n\ntwo\n--ab--\n"
        b"--a\n\nthree\n--a--\n"
    )
    whole = scan(message)
    assert body(message, whole.part_at((1, 2))) == b"two"
    assert body(message, whole.part_at((2,))) == b"three"


def test_parts_of_a_digest_are_messages_by_default() -> None:
    message = b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: in\n\nx\n--d--\n"
    part = scan(message).part_at((1,))
    assert part is not None
    assert part.content_type.essence == b"message/rfc822"
    assert part.message is not None
    assert part.message.header(b"subject") == b"in"


def test_part_numbers_lead_into_messages_inside_messages() -> None:
    message = (Path(MESSAGES[0].parent) / "message_in_message.eml").read_bytes()
    whole = scan(message)
    assert whole.part_at(()) is whole
    assert whole.part_at((1,)) is whole
    assert body(message, whole.part_at((1, 1, 1))) == b"deep"
    assert whole.part_at((1, 1, 2)) is None
    assert whole.part_at((1, 3)) is None
    assert whole.part_at((0,)) is None
    assert whole.part_at((2,)) is None


def test_a_plain_body_has_no_part_below_number_one() -> None:
    whole = scan(b"Subject: x\r\n\r\nbody")
    assert whole.part_at((1,)) is whole
    assert whole.part_at((1, 1)) is None


def test_fields_are_found_by_name_in_any_case_and_unfolded() -> None:
    part = scan(b"X-A: one\r\n two\r\nx-a: three\r\n\r\n")
    assert part.header(b"x-a") == b"one two"
    assert part.headers(b"x-a") == [b"one two", b"three"]
    assert part.header(b"missing") is None


def test_content_fields_are_read() -> None:
    whole = scan((Path(MESSAGES[0].parent) / "alternative_nested.eml").read_bytes())
    part = whole.part_at((2,))
    assert part is not None
    assert part.id == b"<pdf@example.test>"
    assert part.description == b"The report"
    assert part.language == (b"en",)
    assert part.encoding == b"base64"
    assert part.disposition is not None
    assert part.disposition.text_parameter(b"filename") == "report (1).pdf"


def test_nesting_stops_at_the_limit() -> None:
    level = b"Content-Type: multipart/mixed; boundary=a\n\n--a\n"
    part, depth = scan(level * (NESTING_LIMIT + 20)), 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == NESTING_LIMIT


def test_messages_inside_messages_stop_at_the_limit() -> None:
    whole = scan(b"Content-Type: message/rfc822\n\n" * 1000)
    assert len(everything_inside(whole)) == NESTING_LIMIT + 1


def test_the_number_of_parts_is_bounded_and_the_rest_is_opaque() -> None:
    message = b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * (PART_LIMIT + 500)
    whole = scan(message)
    assert len(everything_inside(whole)) <= PART_LIMIT + 1
    assert whole.body_end == len(message)


def test_a_header_beyond_the_limit_is_not_remembered_but_is_measured() -> None:
    message = b"X: y\r\n" * 300_000 + b"Content-Type: message/rfc822\r\n\r\nbody"
    part = scan(message)
    assert body(message, part) == b"body"
    assert part.message is None


def hostile_messages(size: int) -> dict[str, bytes]:
    opening = b"Content-Type: multipart/mixed; boundary=a\n\n"
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(40)
    )
    return {
        "long boundary-like lines": opening + b"--b" * (size * 100),
        "many boundary-like lines": opening + b"--b\n" * (size * 100),
        "headers that never end": opening + b"--a\nX: y\n" * size,
        "multiparts that never end": opening
        + b"".join(
            b"--a\nContent-Type: multipart/mixed; boundary=c%d\n\n" % n for n in range(size)
        ),
        "the same boundary at each level": (opening + b"--a\n") * size,
        "deep nesting, long text": deep + b"\n--x\n" * (size * 100),
    }


@pytest.mark.parametrize("name", hostile_messages(1))
def test_work_grows_in_proportion_to_the_message(name: str) -> None:
    once = octets_looked_at(hostile_messages(1000)[name])
    twice = octets_looked_at(hostile_messages(2000)[name])
    assert twice <= 2.2 * once
    assert twice <= (NESTING_LIMIT + 2) * len(hostile_messages(2000)[name])
