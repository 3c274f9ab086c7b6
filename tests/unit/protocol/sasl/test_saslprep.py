import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.sasl.saslprep import saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        # The examples of RFC 4013 section 3.
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007", ""),
        ("\u06271", ""),
        # Blanks of any kind, text from right to left, unassigned code points.
        ("a\u00a0b", "a b"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u0627a\u0628", ""),
        ("\U0001f600", ""),
        ("", ""),
    ],
)
def test_passwords_are_prepared_as_clients_do(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_ascii_stays_as_it_is(text: str) -> None:
    assert saslprep(text) == text


@given(st.text(max_size=30))
def test_what_is_prepared_stays_as_it_is(text: str) -> None:
    prepared = saslprep(text)
    assert saslprep(prepared) == prepared
