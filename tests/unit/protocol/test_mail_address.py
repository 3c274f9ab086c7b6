import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import AddressError
from mailfront.protocol.mail_address import canonical_address, canonical_domain, unicode_address


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Alice@Example.TEST", "alice@example.test"),
        ("a+b/c=d@example.test", "a+b/c=d@example.test"),
        ('"alice"@example.test', "alice@example.test"),
        ('"al\\ice"@example.test', "alice@example.test"),
        ("ÄNNE@Bücher.Example", "änne@xn--bcher-kva.example"),
        ("a\u0308nne@BÜCHER.example", "änne@xn--bcher-kva.example"),
        ("x@XN--Bcher-KVA.example", "x@xn--bcher-kva.example"),
        ("x@straße.example", "x@xn--strae-oqa.example"),
        ("x@localhost", "x@localhost"),
    ],
)
def test_one_address_has_one_spelling(written: str, canonical: str) -> None:
    assert canonical_address(written) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "", "alice", "@example.test", "alice@", "a..b@x", ".a@x", "a.@x", "a b@x", '"a b"@x',
        "a\0@x", "a\r\n@x", "a\u200b@x", "a\u202e@x", "a@x..y", "a@-x.y", "a@x_y.z", "a@x y",
        "a@[192.0.2.1]", "a@xn--\u00fc.example", "a@xn--a.example", "a" * 65 + "@x",
        "a@" + "x" * 64, "a@" + "x." * 126 + "x", "a@" + "ü" * 5000, '"@x', "a@b@x", "a<b>@x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        canonical_address(text)
    assert not text or text not in str(caught.value)


@given(st.text())
def test_any_text_as_domain_has_a_stable_spelling_or_is_refused(text: str) -> None:
    try:
        canonical = canonical_domain(text)
    except AddressError:
        return
    assert canonical_domain(canonical) == canonical


@given(st.text(), st.sampled_from(["x", "example.test", "bücher.example", "", "a b"]))
def test_any_text_has_a_stable_spelling_or_is_refused(local: str, domain: str) -> None:
    try:
        canonical = canonical_address(f"{local}@{domain}")
    except AddressError:
        return
    assert canonical_address(canonical) == canonical
    assert canonical_address(unicode_address(canonical)) == canonical
