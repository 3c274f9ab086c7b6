from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import (
    EVERYTHING,
    And,
    Equal,
    Filter,
    Present,
    comparable_value,
    is_attribute_description,
    matches,
    to_text,
)

names = st.sampled_from(["mail", "uid", "cn", "userCertificate;binary", "1.2.3"])
values = st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from("*()\\\0&|=a"))
conditions = st.builds(Equal, names, values | st.binary()) | st.builds(Present, names)
filters = st.recursive(
    conditions, lambda inner: st.builds(And, st.lists(inner, min_size=2, max_size=4).map(tuple))
)

Tree = tuple[str, bytes | None] | list["Tree"]


def read(text: str) -> Tree:
    """A reader of RFC 4515 for what these tests write: the structure, and values as octets."""
    tree, rest = read_one(text)
    assert rest == ""
    return tree


def read_one(text: str) -> tuple[Tree, str]:
    if text.startswith("(&"):
        parts, text = [], text[2:]
        while not text.startswith(")"):
            part, text = read_one(text)
            parts.append(part)
        return parts, text[1:]
    item = re.match(r"\(([A-Za-z0-9.;-]+)=([^()]*)\)", text)
    assert item is not None, text
    name, value = item.groups()
    if value == "*":
        return (name, None), text[item.end() :]
    assert "*" not in value
    assert "\0" not in value
    octets = re.sub(
        rb"\\([0-9a-f]{2})", lambda pair: bytes.fromhex(pair.group(1).decode()), value.encode()
    )
    return (name, octets), text[item.end() :]


def tree_of(condition: Filter) -> Tree:
    match condition:
        case Equal(name, value):
            return name, value if isinstance(value, bytes) else str(value).encode()
        case Present(name):
            return name, None
        case And(parts):
            return [tree_of(part) for part in parts]


@given(filters)
def test_no_value_changes_the_structure_of_the_text(condition: Filter) -> None:
    assert read(to_text(condition)) == tree_of(condition)
    assert to_text(condition).isprintable()


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        # RFC 4515 section 4.
        (Equal("cn", "Babs Jensen"), "(cn=Babs Jensen)"),
        (Equal("o", "Parens R Us (for all your parenthetical needs)"),
         r"(o=Parens R Us \28for all your parenthetical needs\29)"),
        (Equal("cn", "*"), r"(cn=\2a)"),
        (Equal("filename", "C:\\MyFile"), r"(filename=C:\5cMyFile)"),
        (Equal("bin", b"\0\0\0\x04"), r"(bin=\00\00\00\04)"),
        (Equal("sn", "Lučić"), "(sn=Lučić)"),
        (Present("seeAlso"), "(seeAlso=*)"),
        (EVERYTHING, "(objectClass=*)"),
        (Equal("mail", "a)(uid=*"), r"(mail=a\29\28uid=\2a)"),
        (Equal("cn", "a\nb"), r"(cn=a\0ab)"),
        (And((Equal("mail", "a"), Equal("uid", "b"))), "(&(mail=a)(uid=b))"),
        (And((Equal("mail", "a"),)), "(mail=a)"),
        (And(()), "(&)"),
        (Equal("certSubjectDN", DistinguishedName.parse(r"cn=a\,b, o=c")),
         r"(certSubjectDN=CN=a\5c,b,O=c)"),
    ],
)  # fmt: skip
def test_a_filter_is_written_as_the_rfc_writes_it(condition: Filter, text: str) -> None:
    assert to_text(condition) == text


@pytest.mark.parametrize("name", ["", "a b", "a)(b", "a*", "1.", "mail=", "mail:dn:", "é"])
def test_what_is_no_attribute_is_refused_when_the_filter_is_made(name: str) -> None:
    assert not is_attribute_description(name)
    with pytest.raises(ValueError, match="not the name"):
        Equal(name, "x")
    with pytest.raises(ValueError, match="not the name"):
        Present(name)


ANN = {
    "mail": [b"Ann@example.org"],
    "uid": [b"ann"],
    "cn": [b"Ann  Lee", "Zoë".encode(), b"\xff"],
    "certsubjectdn": [b"E=ann@example.org, CN=Ann Lee", b"no name"],
    "usercertificate;binary": [b"\x30\x00"],
    "labeleduri": [b"http://A"],
}


@pytest.mark.parametrize(
    "condition",
    [
        Equal("MAIL", "ann@EXAMPLE.org"),
        Equal("E", "ann@example.org"),
        Equal("rfc822Mailbox", "ann@example.org"),
        Equal("cn", " ann lee"),
        Equal("commonName", "ZOE\u0308"),
        Equal("uid", b"ann"),
        Equal("userCertificate;binary", b"\x30\x00"),
        Equal("certSubjectDN", DistinguishedName.parse("mail=ann@example.org,cn=ann lee")),
        Equal("labeledURI", "http://A"),
        Present("mail"),
        Present("userCertificate;binary"),
        EVERYTHING,
        And(()),
        And((Equal("uid", "ann"), Present("cn"))),
    ],
)  # fmt: skip
def test_an_entry_fulfils(condition: Filter) -> None:
    assert matches(condition, ANN)


@pytest.mark.parametrize(
    "condition",
    [
        Equal("mail", "bob@example.org"),
        Equal("mail", "*"),
        Equal("uid", b"Ann"),
        Equal("cn", "\ufffd"),
        Equal("userCertificate", b"\x30\x00"),
        Equal("certSubjectDN", DistinguishedName.parse("cn=ann lee")),
        Equal("cn", DistinguishedName.parse("cn=ann lee")),
        Equal("labeledURI", "http://a"),
        Present("sn"),
        And((Equal("uid", "ann"), Present("sn"))),
    ],
)
def test_an_entry_does_not_fulfil(condition: Filter) -> None:
    assert not matches(condition, ANN)


@given(values)
def test_a_value_matches_itself_and_its_key_in_an_index_is_the_same(value: str) -> None:
    assert matches(Equal("mail", value), {"mail": [value.encode()]})
    assert comparable_value("mail", value) == comparable_value("mail", value.encode())


def test_octets_that_are_no_text_have_no_key_in_an_index() -> None:
    assert comparable_value("mail", b"\xff") is None
