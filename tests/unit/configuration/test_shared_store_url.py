"""The URL of the store that front ends share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.shared_store_url import (
    SharedStoreAddress,
    SharedStoreUrl,
    parse_shared_store,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://127.0.0.1", SharedStoreAddress("127.0.0.1")),
        ("redis://localhost:7000/3", SharedStoreAddress("localhost", 7000, database=3)),
        ("redis://[::1]:7000", SharedStoreAddress("::1", 7000)),
        ("rediss://store.example.com", SharedStoreAddress("store.example.com", tls=True)),
        (
            "rediss://mail.front@store.example.com:6380/1",
            SharedStoreAddress("store.example.com", 6380, tls=True, user="mail.front", database=1),
        ),
        (
            "redis://10.0.0.5?tls=none",
            SharedStoreAddress("10.0.0.5", clear_allowed=True),
        ),
    ],
)
def test_a_url_becomes_an_address_and_a_url_again(text: str, address: SharedStoreAddress) -> None:
    assert parse_shared_store(text) == address
    assert parse_shared_store(str(address)) == address
    assert SharedStoreUrl().text(SharedStoreUrl().parse(text)) == str(address)


def test_nothing_is_no_store() -> None:
    assert parse_shared_store("") is None
    assert SharedStoreUrl().parse("") == ""


@pytest.mark.parametrize(
    "text",
    [
        "store.example.com",
        "http://store.example.com",
        "redis://",
        "redis:///1",
        "redis://store:port",
        "redis://store:99999",
        "redis://a b",
        "redis://localhost/one",
        "redis://localhost/99999",
        "redis://localhost/1/2",
        "redis://localhost?ssl_cert_reqs=none",
        "rediss://store.example.com?tls=none",
        "redis://localhost#1",
        "redis://us%20er@localhost",
        "rediss://[::1",
        "redis://localhost\n",
        "redis://" + "a" * 2000,
    ],
)
def test_what_is_no_such_url_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        parse_shared_store(text)


@pytest.mark.parametrize("text", ["redis://store.example.com", "redis://10.0.0.5:6379/1"])
def test_in_clear_over_a_network_only_if_the_operator_says_so(text: str) -> None:
    with pytest.raises(BadValueError, match="in clear"):
        parse_shared_store(text)
    assert parse_shared_store(f"{text}?tls=none") is not None


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadValueError, match="passfile") as caught:
        parse_shared_store("redis://user:hunter2@localhost")
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for candidate in (text, f"redis://{text}", f"rediss://{text}"):
        try:
            address = parse_shared_store(candidate)
        except BadValueError:
            continue
        assert address is None or parse_shared_store(str(address)) == address
