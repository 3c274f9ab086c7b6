"""The list syntax: signs, `all`, where a list starts, what is refused and what is an error."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ConfigurationError
from mailfront.tls.cipher_list import Choice, choose
from mailfront.tls.ciphers import SUITES, Fate, Suite, known_names, suite_named

GCM, CHACHA, CBC = "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305", "AES128-SHA"
NEW, NEWER = "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"
START = tuple(map(suite_named, (GCM, CHACHA, NEW, NEWER)))
EVERYTHING = (*START, suite_named(CBC))


def refusal(suite: Suite) -> str:
    return suite.reason if suite.fate is Fate.NEVER else ""


def chosen(text: str) -> Choice:
    return choose(
        text,
        start=START,
        everything=EVERYTHING,
        refusal=refusal,
        foreign=frozenset({"PSK-AES128-CBC-SHA"}),
    )


def names(text: str) -> list[str]:
    return [suite.name for suite in chosen(text).suites]


def tls13(text: str) -> list[str]:
    return [suite.name for suite in chosen(text).tls13_suites]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [GCM, CHACHA]),
        ("  ", [GCM, CHACHA]),
        (CBC, [CBC]),
        (f"+{CBC}", [CBC]),
        (f"-{GCM}", [CHACHA]),
        (f"-{GCM},+{CBC}", [CHACHA, CBC]),
        (f"{CBC},{GCM}", [CBC, GCM]),
        ("all", [GCM, CHACHA, CBC]),
        ("+ALL", [GCM, CHACHA, CBC]),
        (f"{CBC},all", [CBC, GCM, CHACHA]),
        (f"all,-{GCM}", [CHACHA, CBC]),
        (f"-all,+{CBC}", [CBC]),
        ("-all", []),
        (f"+{CBC},-{CBC}", []),
        (f"-{GCM},+{GCM}", [CHACHA, GCM]),
        (f"+{GCM},+{GCM}", [GCM]),
        (f" +{GCM} , {CBC} ", [GCM, CBC]),
        (f"{GCM}:{CBC}", [GCM, CBC]),
        ("+rsa_aes_128_sha,-rsa_rc4_40_md5", [CBC]),
        ("TLS_RSA_WITH_AES_128_CBC_SHA,aes128-sha", [CBC]),
    ],
)
def test_a_list_is_applied_from_left_to_right(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CBC, [NEW, NEWER]),
        ("-all", [NEW, NEWER]),
        ("all", [NEW, NEWER]),
        (f"{CBC},-{NEW}", [NEWER]),
        (f"-{NEW}", [NEWER]),
        (f"-{NEW},+{NEW}", [NEWER, NEW]),
        (f"{NEWER},{CBC}", [NEWER]),
        (f"{CBC},{NEWER},{NEW}", [NEWER, NEW]),
    ],
)
def test_the_suites_of_tls_1_3_stay_unless_the_list_names_one(
    text: str, expected: list[str]
) -> None:
    assert tls13(text) == expected


def test_what_must_not_be_used_is_refused_with_its_reason_once() -> None:
    choice = chosen("rsa_rc4_128_md5,AES128-SHA,rsa_des_sha,rsa_rc4_128_md5")
    assert [suite.name for suite in choice.suites] == [CBC]
    assert [str(each) for each in choice.refused] == [
        "rsa_rc4_128_md5 is refused: must not: RC4 (RFC 7465)",
        "rsa_des_sha is refused: must not: DES, 56 bits (RFC 5469, RFC 9325 section 4.1)",
    ]


def test_removing_what_must_not_be_used_is_no_refusal() -> None:
    assert chosen(f"+{CBC},-rsa_rc4_40_md5,-rsa_null_md5").refused == ()


def test_what_only_openssl_has_a_name_for_is_refused_and_not_unknown() -> None:
    choice = chosen("psk-aes128-cbc-sha,AES128-SHA")
    [refused] = choice.refused
    assert refused.name == "psk-aes128-cbc-sha"
    assert "pre-shared" in refused.reason
    assert chosen("-PSK-AES128-CBC-SHA").refused == ()


@pytest.mark.parametrize("text", [",", "+", "-", "AES128-SHA,", "AES128-SHA,,AES256-SHA", "+ ,x"])
def test_an_empty_item_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="an item of the cipher list is empty"):
        chosen(text)


def test_an_unknown_name_is_an_error_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigurationError, match="unknown cipher 'rsa_3des_sah'") as caught:
        chosen("+rsa_3des_sah")
    assert caught.value.remedy == "did you mean rsa_3des_sha?"


@pytest.mark.parametrize("text", ["HIGH", "kEECDH+AESGCM", "!aNULL", "@SECLEVEL=0", "++AES128-SHA"])
def test_openssl_s_classes_and_commands_are_no_names(text: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown cipher"):
        chosen(text)


items = st.sampled_from(["all", *known_names()])


@given(st.lists(st.tuples(st.sampled_from(["", "+", "-"]), items), min_size=1, max_size=30))
def test_no_list_offers_what_must_never_be_offered_or_anything_twice(
    parts: list[tuple[str, str]],
) -> None:
    choice = chosen(",".join(sign + name for sign, name in parts))
    offered = choice.suites + choice.tls13_suites
    assert not [suite for suite in offered if suite.fate is Fate.NEVER]
    assert len(set(offered)) == len(offered)
    assert set(offered) <= set(SUITES)


@given(st.text(max_size=300))
def test_any_text_is_a_choice_or_an_operator_s_mistake(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert set(chosen(text).tls13_suites) <= set(START)
