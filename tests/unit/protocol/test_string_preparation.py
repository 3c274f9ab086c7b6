import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.string_preparation import prepare


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Example Org", "example  org"),
        ("  Example Org ", "EXAMPLE ORG"),
        ("", "   "),
        ("Zoe\u0308", "ZO\u00cb"),
        ("Stra\u00dfe", "STRASSE"),
        ("\uff21\uff22", "ab"),
        ("soft\u00adhyphen", "softhyphen"),
        ("a\u00a0b", "a b"),
        ("a\tb", "a b"),
        ("a\u200bb", "ab"),
        ("\ufb01n", "fin"),
        ("\u0130", "i\u0307"),
        ("a\0b", "ab"),
    ],
)
def test_values_are_equal_that_differ_in_case_spaces_or_composition(one: str, other: str) -> None:
    assert prepare(one) == prepare(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a b", "ab"),
        ("Zoe", "Zo\u00eb"),
        # A space with a combining mark is no insignificant space.
        ("a \u0308b", "a\u0308b"),
        ("paypal", "p\u0430ypal"),
    ],
)
def test_values_that_differ_in_more_are_not_equal(one: str, other: str) -> None:
    assert prepare(one) != prepare(other)


def test_case_counts_where_it_is_not_folded() -> None:
    assert prepare("Ann  Lee ", fold_case=False) == prepare(" Ann Lee", fold_case=False)
    assert prepare("Ann", fold_case=False) != prepare("ann", fold_case=False)
    assert prepare("Zo\u00cb", fold_case=False) != prepare("Zo\u00eb", fold_case=False)


@pytest.mark.parametrize("prohibited", ["\ue000", "\ufffd", "\ufdd0", "\U0001fae0"])
def test_a_prohibited_character_makes_a_value_equal_to_itself_alone(prohibited: str) -> None:
    assert prepare(f"A{prohibited}") == prepare(f"A{prohibited}")
    assert prepare(f"A{prohibited}") != prepare(f"a{prohibited}")
    assert prepare(f"A{prohibited}") != prepare("A")


@given(st.text())
def test_any_text_has_a_form_without_needless_spaces(text: str) -> None:
    prepared = prepare(text)
    if not prepared.startswith("\0"):
        assert not prepared.startswith(" ") or len(prepared) > 1
        assert prepare(prepared) == prepared


@given(st.text(st.characters(max_codepoint=0x17F)))
def test_the_case_of_latin_letters_never_matters(text: str) -> None:
    # U+0149 and others have capitals of two characters; casefold is the measure.
    assert prepare(text.casefold()) == prepare(text) or "\u0130" in text


@given(st.text(st.sampled_from("aB \u0308\u00e4")))
def test_plain_and_international_texts_follow_one_rule_for_spaces(text: str) -> None:
    assert prepare(f"  {text}") == prepare(text) or text.startswith("\u0308")
