from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import DistinguishedNameError
from mailfront.protocol.distinguished_name import (
    AttributeValue,
    DistinguishedName,
    attribute_value,
)

parse = DistinguishedName.parse

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
types = st.sampled_from(["CN", "OU", "E", "MAIL", "DC", "serialNumber", "x-own", "1.2.840.99"])
not_texts = st.sampled_from([b"\x02\x01\x05", b"\x03\x03\x00\xaa\xbb", b"\x0c\x01\xff"])
names = st.builds(
    DistinguishedName,
    st.lists(
        st.lists(st.builds(AttributeValue, types, texts | not_texts), min_size=1, max_size=3),
        max_size=6,
    ),
)


@given(names)
def test_what_is_written_is_read_again(name: DistinguishedName) -> None:
    again = parse(str(name))
    assert again.rdns == name.rdns
    assert again == name
    assert hash(again) == hash(name)


@given(names)
def test_what_is_written_can_be_printed_on_one_line(name: DistinguishedName) -> None:
    assert str(name).isprintable()


@given(st.text() | st.text(st.sampled_from('cn=,+;"\\#0 aF<')))
def test_any_text_is_a_name_or_one_error(text: str) -> None:
    try:
        name = parse(text)
    except DistinguishedNameError:
        return
    assert parse(str(name)).rdns == name.rdns


@given(names, st.integers(0, 200))
def test_a_name_cut_anywhere_is_a_name_or_one_error(name: DistinguishedName, at: int) -> None:
    try:
        parse(str(name)[:at])
    except DistinguishedNameError:
        return


@pytest.mark.parametrize(
    ("text", "written"),
    [
        # RFC 4514 section 4.
        ("UID=jsmith,DC=example,DC=net", None),
        ("OU=Sales+CN=J.  Smith,DC=example,DC=net", None),
        (r"CN=James \"Jim\" Smith\, III,DC=example,DC=net", None),
        (r"CN=Before\0dAfter,DC=example,DC=net", r"CN=Before\0DAfter,DC=example,DC=net"),
        ("1.3.6.1.4.1.1466.0=#04024869", None),
        (r"CN=Lu\C4\8Di\C4\87", "CN=Lučić"),
        # RFC 2253, 1779 and 1485.
        ("CN=L. Eagle,O=Sue\\, Grabbit and Runn,C=GB", None),
        ('CN=L. Eagle, O="Sue, Grabbit and Runn", C=GB',
         r"CN=L. Eagle,O=Sue\, Grabbit and Runn,C=GB"),
        ("CN=Ann ; O = Example Org ;\n C=US", "CN=Ann,O=Example Org,C=US"),
        ("OID.2.5.4.3=Ann", "CN=Ann"),
        ("oid.0.9.2342.19200300.100.1.1=ann", "UID=ann"),
        ('CN="a\\"b\\\\c"', r"CN=a\"b\\c"),
        ('CN=""', "CN="),
        ("CN=\\ Ann\\ ", None),
        ("CN=\\  Ann \\ ,C=US", "CN=\\  Ann \\ ,C=US"),
        ("CN=Ann \\20 ", "CN=Ann \\ "),
        ("CN=a b  ,O=c", "CN=a b,O=c"),
        ("CN=#0C03416E6E", "CN=Ann"),
        ("CN=#1E040041006E", "CN=An"),
        ("CN=#14034F6EEB", "CN=Onë"),
        (r"CN=\#1", r"CN=\#1"),
        ("CN=a=b#c", None),
        ("", None),
        ("  ", ""),
        ("email=ann@example.com,S=Bavaria", "E=ann@example.com,ST=Bavaria"),
        ("foo=bar", None),
        ("1.2.3=text", "1.2.3=#0c0474657874"),
    ],
)  # fmt: skip
def test_a_name_is_read_in_every_form_and_written_in_one(text: str, written: str | None) -> None:
    assert str(parse(text)) == (text if written is None else written)


@pytest.mark.parametrize(
    "text",
    [
        "CN",
        "CN=a,",
        ",CN=a",
        "CN=a,,O=b",
        "CN=a+",
        "=a",
        "2=a",
        "CN=a\\",
        "CN=a\\x",
        r"CN=\ff",
        'CN="a',
        'CN="a"b',
        "CN=a<b",
        'CN=a"b',
        "CN=#",
        "CN=#0",
        "CN=#0c05416e6e",
        "CN=#0c80",
        "CN=#zz",
        "CN=a\0b",
        "/C=US/O=Example",
        "CN=\ud800",
        "C=N=,\n/",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(DistinguishedNameError):
        parse(text)


def test_a_fault_tells_its_place() -> None:
    with pytest.raises(DistinguishedNameError, match=r"\(at character 8\)"):
        parse("CN=Ann,/x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Ann  Lee, O=Example", "cn=ann lee;o=EXAMPLE"),
        ("E=ann@Example.com", "MAIL=Ann@example.com"),
        ("emailAddress=a@b", "1.2.840.113549.1.9.1=a@b"),
        ("CN=a+OU=b", "OU=b+CN=A"),
        ("O=Stra\u00dfe", "O=strasse"),
        ("CN=#0c0161", "CN=A"),
        ("CN=Zoe\u0308", "CN=Zo\u00eb"),
        ("", " "),
    ],
)
def test_names_are_equal_that_differ_only_in_spelling(one: str, other: str) -> None:
    assert parse(one) == parse(other)
    assert hash(parse(one)) == hash(parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=a,O=b", "O=b,CN=a"),
        ("CN=a,OU=b", "CN=a+OU=b"),
        ("CN=a", "CN=a,O="),
        ("CN=a\\,O=b", "CN=a,O=b"),
        ("CN=a", "SN=a"),
        ("labeledURI=A", "labeledURI=a"),
        ("CN=#020161", "CN=a"),
    ],
)
def test_names_differ_that_differ_in_substance(one: str, other: str) -> None:
    assert parse(one) != parse(other)
    assert parse(one) != str(parse(one))


def test_an_entry_is_within_its_own_base() -> None:
    entry = parse("uid=ann,ou=People,dc=example,dc=org")
    assert entry.is_within(parse("OU=people, DC=Example, DC=org"))
    assert entry.is_within(entry)
    assert entry.is_within(parse(""))
    assert not entry.is_within(parse("ou=People,dc=example,dc=net"))
    assert not parse("dc=org").is_within(entry)


def test_a_name_has_bounds() -> None:
    with pytest.raises(DistinguishedNameError, match="characters"):
        parse("CN=" + "a" * 65536)
    with pytest.raises(DistinguishedNameError, match="parts"):
        parse(",".join(["CN=a"] * 129))
    with pytest.raises(DistinguishedNameError, match="parts"):
        parse("+".join(["CN=a"] * 129))
    with pytest.raises(DistinguishedNameError, match="parts"):
        DistinguishedName([[AttributeValue("CN", "a")] * 129])
    assert len(parse(",".join(["CN=a"] * 128)).rdns) == 128


def test_the_name_of_a_certificate_stands_in_the_order_of_the_text() -> None:
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "US")]),
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, "Lee, Ann"),
                    x509.NameAttribute(NameOID.EMAIL_ADDRESS, "ann@example.com"),
                ]
            ),
        ]
    )
    found = DistinguishedName.from_x509(name)
    assert found == parse(r"CN=Lee\, Ann+E=ann@example.com,C=US")
    assert [value.type for value in found.attribute_values()] == ["CN", "E", "C"]


def test_a_bit_string_in_a_certificates_name_stays_octets() -> None:
    unique = x509.NameAttribute(
        NameOID.X500_UNIQUE_IDENTIFIER, b"\xaa", x509.name._ASN1Type.BitString
    )
    name = DistinguishedName.from_x509(x509.Name([unique]))
    assert str(name) == "x500UniqueIdentifier=#030200aa"
    assert parse(str(name)).rdns == name.rdns


@given(texts.filter(bool))
def test_any_text_in_a_certificate_comes_through(text: str) -> None:
    attribute = x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)
    name = DistinguishedName.from_x509(x509.Name([attribute]))
    assert name.rdns == parse(str(name)).rdns == ((AttributeValue("CN", text),),)


@pytest.mark.parametrize(
    ("tag", "octets", "value"),
    [
        (0x0C, "Zoë".encode(), "Zoë"),
        (0x13, b"Zoe", "Zoe"),
        (0x14, "Zoë".encode("latin-1"), "Zoë"),
        (0x14, "Zoë".encode(), "Zoë"),
        (0x1E, "Zoë".encode("utf-16-be"), "Zoë"),
        (0x1C, "Zoë".encode("utf-32-be"), "Zoë"),
        (0x16, b"ann@example.com", "ann@example.com"),
        (0x13, b"\xff", b"\x13\x01\xff"),
        (0x02, b"\x05", b"\x02\x01\x05"),
        (0x04, b"x" * 200, b"\x04\x81\xc8" + b"x" * 200),
    ],
)
def test_each_string_type_of_asn1_is_read_and_other_values_are_kept(
    tag: int, octets: bytes, value: str | bytes
) -> None:
    assert attribute_value("2.5.4.3", tag, octets) == AttributeValue("CN", value)
