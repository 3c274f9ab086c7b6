import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import DirectoryError
from mailfront.protocol import ldif

names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}(;binary)?", fullmatch=True).filter(
    lambda name: name.lower() not in {"dn", "changetype", "control"}
)


def read(content: bytes) -> list[ldif.Record]:
    return list(ldif.read_records(content, file=Path("users.ldif")))


def fault(content: bytes) -> str:
    with pytest.raises(DirectoryError) as caught:
        read(content)
    return str(caught.value)


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1).filter(lambda text: max(text) < "\ud800"),
            st.lists(st.tuples(names, st.binary(max_size=300)), max_size=5),
        ),
        max_size=4,
    )
)
def test_what_the_writer_wrote_is_what_the_reader_reads(
    records: list[tuple[str, list[tuple[str, bytes]]]],
) -> None:
    content = b"\n".join(ldif.format_record(name, attributes) for name, attributes in records)
    assert [
        (record.name, [(attribute.name, attribute.value) for attribute in record.attributes])
        for record in read(content)
    ] == [(name, [(key.lower(), value) for key, value in pairs]) for name, pairs in records]


@given(names, st.binary(max_size=500))
def test_no_written_line_is_longer_than_76_octets_or_outside_ascii(name: str, value: bytes) -> None:
    written = ldif.format_attribute(name, value)
    assert max(len(line) for line in written.splitlines()) <= 76
    assert written.isascii()


@given(st.binary(max_size=200))
def test_any_octets_give_records_or_a_directory_error(content: bytes) -> None:
    try:
        read(content)
    except DirectoryError:
        return


@given(
    st.lists(st.sampled_from([b"dn: a", b"b: c", b"", b" d", b"#", b"x:: AA==", b"y:<z", b"\r"]))
)
def test_any_lines_give_records_or_a_directory_error(lines: list[bytes]) -> None:
    try:
        records = read(b"\n".join(lines))
    except DirectoryError:
        return
    assert all(record.line < record.end <= len(lines) + 1 for record in records)


def test_records_know_their_lines() -> None:
    records = read(b"version: 1\n\n# A\ndn: a\nmail: one\n  two\ncn: A\n\n\ndn: b\n")
    assert [(record.name, record.line, record.end) for record in records] == [
        ("a", 4, 8),
        ("b", 10, 11),
    ]
    assert records[0].attributes[0] == ldif.Attribute("mail", b"one two", 5, 7)


def test_lines_may_end_with_carriage_return_and_line_feed() -> None:
    assert read(b"dn: a\r\nb: c\r\n d\r\n\r\n")[0].values("b") == [b"cd"]


def test_comments_are_skipped_with_their_continuation() -> None:
    assert read(b"# one\n two\ndn: a\n#b: c\n d\ne: f\n")[0].attributes == (
        ldif.Attribute("e", b"f", 6, 7),
    )


def test_base64_values_names_in_any_case_and_utf8_are_understood() -> None:
    record = read("dn:: w6Q=\nCN: Zoë\nuserCertificate;binary:: AP8=\n".encode())[0]
    assert record.name == "ä"
    assert record.values("cn") == ["Zoë".encode()]
    assert record.values("usercertificate;binary") == [b"\x00\xff"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b" x\n", "users.ldif:1: a continuation"),
        (b"dn: a\n\n x\n", "users.ldif:3: a continuation"),
        (b"mail: a\n", "users.ldif:1: an entry must begin"),
        (b"dn: a\ndn: b\n", "users.ldif:2: a second dn"),
        (b"dn: a\nno colon\n", "users.ldif:2: not an attribute"),
        (b"dn: a\nb:: ?\n", "users.ldif:2: the value after ::"),
        (b"dn: a\nb:< file:///etc/passwd\n", "users.ldif:2: a value by URL"),
        (b"dn: a\nchangetype: delete\n", "users.ldif:2: change records"),
        (b"dn: a\nb: \xff\n", "users.ldif:2: a value that is not UTF-8"),
        (b"dn: a\nb: c\0\n", "users.ldif:2: a control character"),
        (b"dn:: /w==\n", "users.ldif:1: a distinguished name"),
        (b"version: 2\ndn: a\n", "users.ldif:1: this version"),
    ],
)
def test_a_fault_is_told_with_file_and_line(content: bytes, place: str) -> None:
    assert fault(content).startswith(place)


def test_lines_and_records_are_bounded() -> None:
    fault(b"dn: a\nb: " + b"x" * 70000)
    fault(b"dn: a\nb: x\n" + b" xxxxxxxxx\n" * 7000)
    fault(b"dn: a\n" + b"b: c\n" * 1001)
    assert len(read(b"dn: a\n" + b"b: c\n" * 1000)[0].attributes) == 1000


def test_a_file_of_many_pieces_is_read_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"version: 1\n\n" + b"".join(
        b"dn: a%d\nmail: %s\n continued\n\n" % (number, b"x" * (number % 90))
        for number in range(200)
    )
    whole = read(text)
    for size in (1, 2, 7, 64, 1000):
        monkeypatch.setattr(ldif, "_PIECE_OCTETS", size)
        assert read(text) == whole
        assert read(text.rstrip()) == whole


@given(
    st.lists(
        st.sampled_from(
            [
                "dn: a",
                "dn: uid=b,o=x",
                "dn:: YQ==",
                "dn:",
                "mail: a@x",
                "Mail:a@x",
                "cn:  two",
                "cn: ends ",
                "cn;lang-de: x",
                "cn: \u00fc",
                " folded",
                "# comment",
                "version: 1",
                "changetype: add",
                "control: x",
                "",
                "",
                "",
                "odd",
                "cn: a\r",
                "\t",
                "cn:: !",
            ]
        )
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_plain_records_are_read_as_any_others(lines: list[str], end: str, ended: bool) -> None:
    content = (end.join(lines) + (end if ended else "")).encode()

    def outcome() -> list[ldif.Record] | str:
        try:
            return read(content)
        except DirectoryError as error:
            return str(error)

    quick = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ldif, "_PLAIN_BLOCK", re.compile(rb"(?!)"))
        assert outcome() == quick
        patch.setattr(ldif, "_blocks", lambda whole: iter([(whole, 1)] if whole else []))
        assert outcome() == quick
