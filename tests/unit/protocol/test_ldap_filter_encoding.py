import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ConfigurationError
from mailfront.protocol.ldap_filter import And, Equal, Filter, Present, to_text
from mailfront.protocol.ldap_filter_encoding import encode_filter
from mailfront.protocol.ldap_messages import element


def pair(tag: int, name: str, value: bytes) -> bytes:
    return element(tag, element(4, name.encode()) + element(4, value))


def encoded(condition: Filter) -> bytes:
    match condition:
        case Equal(attribute, bytes(value)):
            return pair(0xA3, attribute, value)
        case Equal(attribute, value):
            return pair(0xA3, attribute, str(value).encode())
        case Present(attribute):
            return element(0x87, attribute.encode())
        case And((part,)):
            return encoded(part)
        case And(parts):
            return element(0xA0, b"".join(map(encoded, parts)))


names = st.sampled_from(["mail", "uid", "userCertificate;binary", "1.2.3"])
values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.binary(min_size=1)
filters = st.recursive(
    st.builds(Equal, names, values) | st.builds(Present, names),
    lambda inner: st.builds(And, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=12,
)


@given(filters)
def test_a_filter_keeps_its_structure_whatever_its_values_hold(condition: Filter) -> None:
    assert encode_filter(to_text(condition)) == encoded(condition)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("(cn=Babs Jensen)", pair(0xA3, "cn", b"Babs Jensen")),
        ("(!(cn=a))", element(0xA2, pair(0xA3, "cn", b"a"))),
        ("(|(a=1)(b=2))", element(0xA1, pair(0xA3, "a", b"1") + pair(0xA3, "b", b"2"))),
        ("(cn>=a)", pair(0xA5, "cn", b"a")),
        ("(cn<=a)", pair(0xA6, "cn", b"a")),
        ("(cn~=a)", pair(0xA8, "cn", b"a")),
        ("(cn=)", pair(0xA3, "cn", b"")),
        ("(cn=\\2a\\00\\c3\\bc)", pair(0xA3, "cn", b"*\0\xc3\xbc")),
        ("(&)", element(0xA0, b"")),
        (
            "(cn=a*b*c)",
            element(
                0xA4,
                element(4, b"cn")
                + element(0x30, element(0x80, b"a") + element(0x81, b"b") + element(0x82, b"c")),
            ),
        ),
        ("(cn=*a)", element(0xA4, element(4, b"cn") + element(0x30, element(0x82, b"a")))),
        (
            "(cn:dn:2.5.13.5:=a)",
            element(
                0xA9,
                element(0x81, b"2.5.13.5") + element(0x82, b"cn") + element(0x83, b"a")
                + element(0x84, b"\xff"),
            ),
        ),
        ("(:2.5.13.5:=a)", element(0xA9, element(0x81, b"2.5.13.5") + element(0x83, b"a"))),
    ],
)  # fmt: skip
def test_the_forms_of_the_standard_are_encoded(text: str, octets: bytes) -> None:
    assert encode_filter(text) == octets


@pytest.mark.parametrize(
    "text",
    [
        "", "cn=a", "(cn=a", "(cn=a))", "(cn=a)x", "(=a)", "(cn)", "(c n=a)", "(cn=a(b)",
        "(cn=\\zz)", "(cn=\\2)", "(&(cn=a)", "(!)", "(cn=**)", "(:=a)", "(cn:=a*b)", "(::=a)",
        "(" * 100, "(!" * 100 + "(a=b)" + ")" * 100, "(cn=" + "a" * 70_000 + ")",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        encode_filter(text)


@given(st.text(st.sampled_from("()&|!=*~<>:\\ab0 ")))
def test_any_text_gives_octets_or_one_exception(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert encode_filter(text)
