"""The TXT record that announces a policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.outgoing.mta_sts.record import policy_id


@pytest.mark.parametrize(
    "text",
    [
        "v=STSv1; id=20160831085700Z;",
        "v=STSv1; id=20160831085700Z",
        "v=STSv1;id=20160831085700Z ; ",
        "v=STSv1 ; more=x!y; id=20160831085700Z;",
    ],
)
def test_a_record_gives_the_id_of_the_policy(text: str) -> None:
    assert policy_id([text]) == "20160831085700Z"


def test_records_of_others_at_the_name_do_not_matter() -> None:
    assert policy_id(["v=spf1 -all", "v=STSv1; id=a1", "v=STSv10; id=b"]) == "a1"


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["v=STSv1"],
        ["v=STSv1;"],
        ["v=STSv2; id=1"],
        ["V=STSv1; id=1"],
        [" v=STSv1; id=1"],
        ["v=STSv1; id="],
        ["v=STSv1; id=a-b"],
        ["v=STSv1; id=" + "a" * 33],
        ["v=STSv1; id=1; id=2"],
        ["v=STSv1; id=1;; "],
        ["v=STSv1; id=1; nonsense"],
        ["v=STSv1; id=1", "v=STSv1; id=2"],
        ["v=STSv1; id=1; x=" + "a" * 5000],
    ],
)
def test_anything_else_announces_none(texts: list[str]) -> None:
    assert policy_id(texts) is None


@given(st.lists(st.text() | st.text("v=STS1;id \t").map("v=STSv1;".__add__), max_size=4))
def test_any_texts_have_an_answer(texts: list[str]) -> None:
    found = policy_id(texts)
    assert found is None or 1 <= len(found) <= 32
