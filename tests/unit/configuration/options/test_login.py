"""Options of logins: what may be written, and how it comes back."""

from __future__ import annotations

import pytest

from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.options.login import MECHANISMS, OPTIONS, MechanismList, WebAddress
from mailfront.protocol import sasl


def test_what_can_be_named_is_what_can_be_started() -> None:
    assert MECHANISMS == sasl.MECHANISMS


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("plain login", ("PLAIN", "LOGIN")),
        ("External, SCRAM-SHA-256-plus", ("EXTERNAL", "SCRAM-SHA-256-PLUS")),
    ],
)
def test_mechanisms_are_divided_by_blanks_as_in_the_original(
    text: str, names: tuple[str, ...]
) -> None:
    assert MechanismList().parse(text) == names
    assert MechanismList().parse(MechanismList().text(names)) == names


@pytest.mark.parametrize(
    ("text", "told"),
    [("cram-md5", "CRAM-MD5"), ("SCRAM-SHA-265", "SCRAM-SHA-256"), ("plain plain", "twice")],
)
def test_another_mechanism_is_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(BadValueError, match=told):
        MechanismList().parse(text)


@pytest.mark.parametrize(
    "text", ["", "https://login.example.com", "https://x/realms/mail", "http://127.0.0.1:8080/a",
             "http://localhost", "http://[::1]:9/x"],
)  # fmt: skip
def test_an_address_is_https_or_on_this_machine(text: str) -> None:
    assert WebAddress().parse(text) == text


@pytest.mark.parametrize(
    "text", ["login.example.com", "http://login.example.com", "https://", "https://x/?a=b",
             "https://x/#f", "ftp://x", "file:///etc/passwd", "http://localhost.example.com"],
)  # fmt: skip
def test_any_other_address_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        WebAddress().parse(text)


def test_every_default_is_a_value() -> None:
    assert {option.canonical(option.default) for option in OPTIONS} >= {"", "yes", "no"}
