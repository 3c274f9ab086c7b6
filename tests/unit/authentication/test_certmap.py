from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.authentication.certmap import MAXIMUM_MAPPINGS, Certmap, parse_certmap
from mailfront.authentication.certmap_properties import EVERY_COMPONENT, Component
from mailfront.configuration.default_files import default_configuration_directory
from mailfront.errors import ConfigurationError
from mailfront.protocol.distinguished_name import DistinguishedName

FILE = Path("certmap.conf")
DEFAULT = "certmap default default\n"


def read(text: str) -> Certmap:
    return parse_certmap(text.encode(), FILE)


def fault(content: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_certmap(content if isinstance(content, bytes) else content.encode(), FILE)
    return str(caught.value)


def test_the_file_of_the_manuals_is_read() -> None:
    certmap = read(
        "# two mappings\n"
        "certmap default default\n"
        "default:DNComps\n"
        "default:FilterComps e, uid\n"
        "\n"
        "certmap MyCA   ou=Certificates, o=Example Org, c=US\n"
        "  MyCA:DNComps ou,o,c\n"
        "\t# within a mapping\n"
        "MyCA:FilterComps\te\n"
        "MyCA:verifycert on\n"
        "MyCA:CmapLdapAttr certSubjectDN\n"
    )
    assert certmap.default.base == ()
    assert certmap.default.condition == (Component("mail", "mail"), Component("uid", "uid"))
    assert not certmap.default.verify_certificate
    mine = certmap.mapping_for(DistinguishedName.parse("OU=certificates;O=example  org;C=us"))
    assert mine.name == "MyCA"
    assert [component.source for component in mine.base] == ["ou", "o", "c"]
    assert mine.condition == (Component("mail", "mail"),)
    assert mine.verify_certificate
    assert mine.subject_attribute == "certSubjectDN"
    assert mine.place == "certmap.conf:6"
    assert certmap.mapping_for(DistinguishedName.parse("CN=Other")) is certmap.default
    assert certmap.mappings() == [mine, certmap.default]
    assert certmap.warnings == ()


def test_what_is_absent_has_the_originals_meaning() -> None:
    default = read(DEFAULT).default
    assert default.base == EVERY_COMPONENT
    assert default.condition == ()
    assert not default.verify_certificate
    assert (default.san_email, default.san_upn, default.pinned) == (False,) * 3
    assert default.subject_attribute == default.module == ""


@pytest.mark.parametrize(
    "line",
    ["default:FilterComps e", "default FilterComps e", "default\tfiltercomps\te  ",
     "default: FILTERCOMPS  e", "default:FilterComps: mail", "default:FilterComps ,E, ,\r",
     "default:FilterComps \\\n e", "default:encoded FilterComps ZQ==",
     "default:FilterComps emailAddress"],
)  # fmt: skip
def test_a_property_may_be_written_in_all_these_ways(line: str) -> None:
    assert read(DEFAULT + line).default.condition == (Component("mail", "mail"),)


def test_the_default_needs_no_issuer_and_its_issuer_is_not_used() -> None:
    for text in (
        "certmap default",
        "certmap DEFAULT cn=a",
        "certmap Default default\nDefault:pinned",
    ):
        certmap = read(text)
        assert certmap.default.issuer is None
        assert certmap.by_issuer == {}


@pytest.mark.parametrize(
    ("value", "is_on"), [("on", True), ("ON", True), ("off", False), ("", True)]
)
def test_switches_are_on_or_off_and_on_when_empty(value: str, is_on: bool) -> None:
    names = ("verifycert", "SanEmail", "sanupn", "Pinned")
    default = read(DEFAULT + "".join(f"default:{name} {value}\n" for name in names)).default
    switches = (default.verify_certificate, default.san_email, default.san_upn, default.pinned)
    assert switches == (is_on,) * 4


def test_the_multiplexors_items_take_one_attribute_and_write_another() -> None:
    default = read(DEFAULT + "default:FilterComps e=mail, ou = uid\ndefault:DNComps o=dc").default
    assert default.condition == (Component("mail", "mail"), Component("ou", "uid"))
    assert default.base == (Component("o", "dc"),)
    assert default.has_base_list


def test_the_first_value_of_a_property_counts() -> None:
    certmap = read(DEFAULT + "default:verifycert off\ndefault:VerifyCert on\n")
    assert not certmap.default.verify_certificate
    assert certmap.warnings == (
        "certmap.conf:3: verifycert is given already, only the first value counts",
    )


def test_unknown_components_are_left_out_with_a_warning() -> None:
    certmap = read(DEFAULT + "default:FilterComps e, employeeNumber")
    assert certmap.default.condition == (Component("mail", "mail"),)
    assert certmap.warnings == (
        "certmap.conf:2: FilterComps: employeeNumber is not known, it is left out",
    )


def test_the_first_mapping_for_an_issuer_wins() -> None:
    certmap = read(f"certmap a cn=x, o=y\ncertmap b CN=X;O=Y\n{DEFAULT}")
    assert certmap.mapping_for(DistinguishedName.parse("CN=x,O=y")).name == "a"
    assert certmap.warnings == ("certmap.conf:2: b has the issuer of a, which is used instead",)


def test_whether_any_mapping_takes_enrolled_keys_is_told() -> None:
    assert not read(DEFAULT).pins_keys
    assert read(DEFAULT + "default:pinned on").pins_keys
    assert read(DEFAULT + "certmap a cn=b\na:pinned on").pins_keys


def test_a_backslash_at_the_end_continues_a_line() -> None:
    certmap = read(f"certmap a cn=Client CA,\\\n  o=Example,\\\r\n c=US\na:pinned\n{DEFAULT}")
    mapping = certmap.mapping_for(DistinguishedName.parse("CN=Client CA,O=Example,C=US"))
    assert mapping.name == "a"
    assert mapping.pinned
    # An escaped backslash is a part of the name.
    certmap = read(f"certmap a cn=b\\\\\na:pinned\n{DEFAULT}")
    assert certmap.mapping_for(DistinguishedName.parse("cn=b\\\\")).pinned
    # A comment does not continue.
    assert read("# a \\\n" + DEFAULT).default.name == "default"


def test_a_function_of_ones_own_is_named_by_module() -> None:
    assert read(DEFAULT + "default:module: my.maps:by_number").default.module == "my.maps:by_number"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "certmap.conf: there is no mapping named default: add the line"),
        ("certmap a cn=b", "certmap.conf: there is no mapping named default"),
        ("default:DNComps", "certmap.conf:1: a property before any mapping: begin with a line"),
        ("certmpa default default", "certmap.conf:1: a property before any mapping: did you mean "
         "certmap?"),
        ("CERTMAP default default", "certmap.conf:1: a property before any mapping: did you mean "
         "certmap?"),
        ("certmap", "certmap.conf:1: a mapping without a name"),
        ("certmap a", "certmap.conf:1: the mapping a has no issuer: write certmap a and"),
        ("certmap a:b cn=c", "certmap.conf:1: 'a:b' cannot be the name of a mapping"),
        ("certmap certmap cn=c", "certmap.conf:1: 'certmap' cannot be"),
        ("certmap a b", "certmap.conf:1: the issuer is no name: = is wanted"),
        ("certmap a /C=US/O=Example", "certmap.conf:1: the issuer is no name: the name of an "
         "attribute is wanted (at character 1): write CN=…,O=…,C=…: commas"),
        (DEFAULT + "certmap Default default", "certmap.conf:2: a second mapping named Default: "
         "the first one is in line 1"),
        (DEFAULT + "certmap a cn=b\ncertmap a cn=c", "certmap.conf:3: a second mapping named a"),
        (DEFAULT + "DEFAULT:DNComps", "certmap.conf:2: there is no mapping named 'DEFAULT': did "
         "you mean default?"),
        (DEFAULT + "certmap a cn=b\ndefault:DNComps", "certmap.conf:3: a property of the mapping "
         "default, which has ended: move it below line 1"),
        (DEFAULT + "other:DNComps", "certmap.conf:2: there is no mapping named 'other': write "
         "default:property"),
        (DEFAULT + ":DNComps", "certmap.conf:2: there is no mapping named ''"),
        (DEFAULT + "default:DNComp e", "certmap.conf:2: 'DNComp' is not a property: did you mean "
         "DNComps?"),
        (DEFAULT + "default:xyz", "certmap.conf:2: 'xyz' is not a property: known are DNComps"),
        (DEFAULT + "default:", "certmap.conf:2: a property is wanted"),
        (DEFAULT + "default:verifycert yes", "certmap.conf:2: verifycert: 'yes' is neither on"),
        (DEFAULT + "default:CmapLdapAttr", "certmap.conf:2: CmapLdapAttr: the name of an attr"),
        (DEFAULT + "default:CmapLdapAttr a)(b", "certmap.conf:2: CmapLdapAttr: the name of"),
        (DEFAULT + "default:FilterComps emial", "certmap.conf:2: FilterComps: no component in "
         "the list is known: did you mean mail?"),
        (DEFAULT + "default:FilterComps e=", "certmap.conf:2: FilterComps: 'e=' is not FROM=TO"),
        (DEFAULT + "default:DNComps =mail", "certmap.conf:2: DNComps: '=mail' is not FROM=TO"),
        (DEFAULT + "default:FilterComps e=a)(b", "certmap.conf:2: FilterComps: 'e=a)(b' is not"),
        (DEFAULT + "default:library /usr/lib/x.so", "certmap.conf:2: library is not supported: "
         "shared libraries are not loaded; write the function in Python"),
        (DEFAULT + "default:InitFn f", "certmap.conf:2: InitFn is not supported"),
        (DEFAULT + "default:module my.maps", "certmap.conf:2: module: 'my.maps' is not"),
        (DEFAULT + "default:encoded FilterComps !", "certmap.conf:2: an encoded value that is"),
        (DEFAULT + "default:encoded FilterComps gA==", "certmap.conf:2: an encoded value that is"),
        (DEFAULT + "default:encoded FilterComps AA==", "certmap.conf:2: a control character"),
        (DEFAULT + "default:DNComps o\x00", "certmap.conf:2: a control character"),
        (DEFAULT + "default:DNComps \\", "certmap.conf:2: the file ends where a line is to be"),
        (DEFAULT + "default:DNComps " + "o" * 1024, "certmap.conf:2: a line of more than 1024"),
        (DEFAULT + "\\\n" * 20000, "certmap.conf:2: a line with too many continuations"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_file_line_and_remedy(text: str, message: str) -> None:
    assert fault(text).startswith(message)


def test_a_file_that_is_not_utf8_is_refused_with_its_line() -> None:
    assert fault(b"certmap default default\n# \xff\n").startswith("certmap.conf:2: a line that is")


def test_files_and_mappings_are_bounded() -> None:
    many = DEFAULT + "".join(f"certmap m{n} cn={n}\n" for n in range(MAXIMUM_MAPPINGS - 1))
    assert len(read(many).mappings()) == MAXIMUM_MAPPINGS
    assert "more than 1000 mappings" in fault(many + "certmap last cn=last")
    assert "too large" in fault("\n" * 2_000_000)


WORDS = ["certmap", "default", "a", ":", " ", "\n", "DNComps", "FilterComps", "verifycert", "on",
         "cn=x", "e", ",", "=", "\\", "#", "encoded", "ZQ==", "module", "x:y", "\t"]  # fmt: skip
written = st.lists(st.sampled_from(WORDS), max_size=40).map("".join).map(str.encode)


@given(
    st.binary() | st.lists(st.sampled_from(WORDS), max_size=40).map(lambda w: "".join(w).encode())
)
def test_any_octets_give_mappings_or_one_error(content: bytes) -> None:
    for octets in (content, DEFAULT.encode() + content):
        try:
            certmap = parse_certmap(octets, FILE)
        except ConfigurationError:
            continue
        assert certmap.default.issuer is None


@given(st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), max_size=20))
def test_any_value_can_be_written_in_base64(text: str) -> None:
    encoded = base64.b64encode(text.encode()).decode()
    outcomes = []
    for line in (f"default:CmapLdapAttr {text}", f"default:encoded CmapLdapAttr {encoded}"):
        try:
            outcomes.append(read(DEFAULT + line).default.subject_attribute)
        except ConfigurationError as error:
            outcomes.append(error.what.partition(":")[0])
    assert outcomes[0] == outcomes[1] or text.endswith("\\")


def test_the_default_file_finds_the_user_by_the_address_in_the_certificate() -> None:
    path = default_configuration_directory() / "certmap.conf"
    certmap = parse_certmap(path.read_bytes(), path)
    assert certmap.mappings() == [certmap.default]
    assert certmap.warnings == ()
    assert certmap.default.base == ()
    assert certmap.default.condition == (Component("mail", "mail"),)
    assert not certmap.default.verify_certificate
    assert certmap.default.san_email
