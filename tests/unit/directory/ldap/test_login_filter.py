import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.directory.entry import Entry, entry_from_record
from mailfront.directory.ldap.login_filter import LoginFilter, escaped
from mailfront.errors import ConfigurationError
from mailfront.protocol.ldap_filter_encoding import encode_filter
from mailfront.protocol.ldap_messages import element
from mailfront.protocol.ldif import read_records


def entry(mail: str) -> Entry:
    (record,) = read_records(f"dn: a\nmail: {mail}\n".encode())
    found = entry_from_record(record)
    assert found is not None
    return found


def test_the_places_of_a_template_are_filled() -> None:
    template = LoginFilter("(&(mail=%s)(uid=%U)(o=%V)(x=100%%))", in_domain=True)
    assert template.text("al@example.test") == (
        "(&(mail=al@example.test)(uid=al)(o=example.test)(x=100%))"
    )


@pytest.mark.parametrize("template", ["", "uid=%U", "(uid=%X)", "(uid=%", "(&(uid=%U)"])
def test_a_template_that_is_no_filter_is_refused_when_it_is_made(template: str) -> None:
    with pytest.raises(ConfigurationError):
        LoginFilter(template, in_domain=True)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_typed_is_a_value_and_never_structure(typed: str) -> None:
    assert encode_filter(f"(uid={escaped(typed)})") == element(
        0xA3, element(4, b"uid") + element(4, typed.encode())
    )


def test_what_looks_like_a_place_in_a_name_is_not_filled() -> None:
    assert LoginFilter("(uid=%U)", in_domain=True).text("%s@x.test") == "(uid=\\25s)"


def test_an_entry_of_another_domain_is_taken_only_where_that_is_wanted() -> None:
    strict, lax = (LoginFilter("(uid=%U)", in_domain=wanted) for wanted in (True, False))
    assert strict.accepts(entry("al@example.test"), "al@example.test")
    assert not strict.accepts(entry("al@other.test"), "al@example.test")
    assert lax.accepts(entry("al@other.test"), "al@example.test")
