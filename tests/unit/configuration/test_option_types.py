"""Texts and values of options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.option_types import (
    Addresses,
    BadValueError,
    Boolean,
    Choice,
    Domain,
    Integer,
    Names,
    Networks,
    OptionType,
    RelativePath,
    SecretFile,
    Size,
    Text,
    Value,
)

EVERY_TYPE: list[OptionType] = [
    Text(),
    Integer(-1, 256),
    Size(1024, 2**31),
    Boolean(),
    Choice(("modern", "legacy")),
    Choice(("modern", "legacy"), may_be_empty=True),
    Names(),
    Names(blanks_divide=True),
    Domain(),
    Addresses(),
    Networks(),
    RelativePath(("stderr",)),
    SecretFile(),
]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Integer(1, 65535), "65535", 65535),
        (Integer(-1, 256), "-1", -1),
        (Integer(1, 65535), "0143", 143),
        (Size(1024, 2**31), "36700160", 36700160),
        (Size(1024, 2**31), "35M", 36700160),
        (Size(1024, 2**31), "2k", 2048),
        (Boolean(), "YES", True),
        (Boolean(), "1", True),
        (Boolean(), "on", True),
        (Boolean(), "True", True),
        (Boolean(), "no", False),
        (Boolean(), "0", False),
        (Boolean(), "off", False),
        (Boolean(), "false", False),
        (Choice(("Notice", "Debug")), "notice", "Notice"),
        (Choice(("a",), may_be_empty=True), "", ""),
        (Names(), "Server Cert , HSM:ecdsa", ("Server Cert", "HSM:ecdsa")),
        (Names(), "  ", ()),
        (Names(blanks_divide=True), "alice  bob,carol", ("alice", "bob", "carol")),
        (Domain(), "Example.COM", "example.com"),
        (Domain(), "localhost", "localhost"),
        (Domain(), "", ""),
        (Addresses(), "127.0.0.1, 0::1", "127.0.0.1,::1"),
        (Addresses(), "", ""),
        (
            Networks(),
            "192.0.2.7, 10.0.0.0/255.0.0.0,2001:DB8::/64",
            "192.0.2.7/32,10.0.0.0/8,2001:db8::/64",
        ),
        (Networks(), "", ""),
        (RelativePath(("stderr",)), "stderr", "stderr"),
        (RelativePath(("stderr",)), "log//mailfront.log", "log/mailfront.log"),
        (SecretFile(), "file:config//ldappassword", "config/ldappassword"),
    ],
)
def test_a_text_in_the_grammar_gives_its_value(kind: OptionType, text: str, value: Value) -> None:
    assert kind.parse(text) == value
    assert type(kind.parse(text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Integer(1, 65535), "0"),
        (Integer(1, 65535), "65536"),
        (Integer(1, 65535), ""),
        (Integer(1, 65535), "+25"),
        (Integer(1, 65535), " 25"),
        (Integer(1, 65535), "1e3"),
        (Integer(1, 65535), "1_0"),
        (Integer(1, 65535), "٢٥"),
        (Integer(1, 65535), "9" * 5000),
        (Size(1024, 2**31), "3"),
        (Size(1024, 2**31), "35 M"),
        (Size(1024, 2**31), "35MB"),
        (Boolean(), ""),
        (Boolean(), "2"),
        (Boolean(), "maybe"),
        (Choice(("modern",)), ""),
        (Choice(("modern",)), "modern "),
        (Names(), "a,,b"),
        (Names(), "a,"),
        (Names(), "a,a"),
        (Names(), "a\x00b"),
        (Names(blanks_divide=True), "a , , b"),
        (Domain(), "-example.com"),
        (Domain(), "example..com"),
        (Domain(), "example.com."),
        (Domain(), "ex ample.com"),
        (Domain(), "a" * 64 + ".com"),
        (Domain(), "a." * 127 + "com"),
        (Addresses(), "localhost"),
        (Addresses(), "127.1"),
        (Addresses(), "::1,0::1"),
        (Networks(), "10.0.0.1/8"),
        (Networks(), "balancer.example.org"),
        (Networks(), "::/0"),
        (Networks(), "10.0.0.1,10.0.0.1/32"),
        (RelativePath(), ""),
        (RelativePath(), "."),
        (RelativePath(), "/var/log/mail"),
        (RelativePath(), "log/../../etc/passwd"),
        (Text(), "a\nb"),
        (Text(), "\x1b[2J"),
        (Text(), "x" * 5000),
    ],
)
def test_a_text_outside_the_grammar_is_refused(kind: OptionType, text: str) -> None:
    with pytest.raises(BadValueError):
        kind.parse(text)


def test_a_mistyped_word_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadValueError, match="did you mean intermediate"):
        Choice(("modern", "intermediate")).parse("intermediat")


@pytest.mark.parametrize("kind", EVERY_TYPE, ids=repr)
@given(text=st.text(max_size=60))
def test_any_text_gives_a_value_or_the_one_refusal(kind: OptionType, text: str) -> None:
    try:
        value = kind.parse(text)
    except BadValueError:
        return
    assert kind.parse(kind.text(value)) == value


@pytest.mark.parametrize("kind", EVERY_TYPE, ids=repr)
def test_every_type_tells_people_what_may_be_written(kind: OptionType) -> None:
    assert kind.description


def test_booleans_print_as_yes_and_no() -> None:
    assert [Boolean().text(value) for value in (True, False)] == ["yes", "no"]


@pytest.mark.parametrize("text", ["hunter2", "file:/etc/hunter2", "file:", "file:../hunter2", ""])
def test_what_may_be_a_secret_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadValueError, match="files of their own") as refused:
        SecretFile().parse(text)
    assert "hunter2" not in str(refused.value)
