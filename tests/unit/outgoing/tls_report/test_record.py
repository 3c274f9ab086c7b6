"""The TXT record by which a domain asks for reports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.outgoing.tls_report.record import Place, report_places


def test_reports_go_to_every_place_that_is_named() -> None:
    text = "v=TLSRPTv1; rua=mailto:reports@example.com, https://r.example.com/v1?x=1;"
    assert report_places([text]) == (
        Place(address="reports@example.com"),
        Place(url="https://r.example.com/v1?x=1"),
    )


def test_addresses_may_be_escaped_and_have_fields_behind_them() -> None:
    text = "v=TLSRPTv1;rua=mailto:tls%2Brpt@Example.com?subject=x"
    assert report_places([text]) == (Place(address="tls+rpt@example.com"),)


def test_other_places_and_other_records_are_passed_over() -> None:
    text = "v=TLSRPTv1; rua=http://a.example/,ftp://b.example/,mailto:nobody,mailto:a@b.example"
    assert report_places(["v=spf1 -all", text]) == (Place(address="a@b.example"),)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["v=TLSRPTv1"],
        ["v=TLSRPTv1;"],
        ["v=TLSRPTv2; rua=mailto:a@b.example"],
        ["v=TLSRPTv1; rua=mailto:a@b.example"] * 2,
        ["v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@d.example"],
        ["v=TLSRPTv1; rua=mailto:a@b.example" + " " * 5000],
        ["v=TLSRPTv1; rua=https://"],
        ["v=TLSRPTv1; rua=https://[x/"],
        ["v=TLSRPTv1; rua=mailto:a%0d%0aBcc:x@b.example"],
        ["v=TLSRPTv1; rua=mailto:jos%C3%A9@b.example"],
    ],
)
def test_anything_else_asks_for_nothing(texts: list[str]) -> None:
    assert report_places(texts) == ()


def test_no_more_than_a_few_places_get_a_report() -> None:
    places = ",".join(f"mailto:a{number}@b.example" for number in range(50))
    assert len(report_places([f"v=TLSRPTv1; rua={places}"])) == 10


@given(st.lists(st.text() | st.text().map("v=TLSRPTv1;rua=mailto:a@b.c,".__add__), max_size=3))
def test_any_texts_have_an_answer(texts: list[str]) -> None:
    for place in report_places(texts):
        assert bool(place.address) != bool(place.url)
        assert str(place).isprintable()
