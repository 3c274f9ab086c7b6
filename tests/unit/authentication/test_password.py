import base64
import hashlib

import argon2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfront.authentication import scram_verifier
from mailfront.authentication.password import (
    PasswordChecker,
    generate_password,
    hash_password,
    prepare,
    scheme_problem,
    verify,
)
from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret


def salted(scheme: str, algorithm: str, password: bytes, salt: bytes = b"salt") -> str:
    digest = hashlib.new(algorithm, password + salt).digest()
    return f"{{{scheme}}}" + base64.b64encode(digest + salt).decode()


def test_a_hash_is_argon2id_under_openldaps_scheme_name_and_never_twice_the_same() -> None:
    first, second = (hash_password(Secret("pässword")) for _ in range(2))
    assert first.startswith("{ARGON2}$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert verify([first], Secret("pässword"))
    assert not verify([first], Secret("password"))


@pytest.mark.parametrize(
    "value",
    [
        salted("SSHA", "sha1", b"secret"),
        salted("ssha256", "sha256", b"secret"),
        salted("SSHA512", "sha512", b"secret", b"s" * 16),
        "{ARGON2}"
        + argon2.PasswordHasher(1, 8, 1, type=argon2.Type.I).hash(b"secret", salt=b"saltsalt"),
    ],
)
def test_hashes_from_elsewhere_are_checked(value: str) -> None:
    assert scheme_problem(value) == ""
    assert verify([value], Secret("secret"))
    assert not verify([value], Secret("Secret"))


@pytest.mark.parametrize(
    "value",
    [
        "secret",
        "{CLEAR}secret",
        "{CRYPT}$6$salt$x",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA}",
        "{SSHA}not base64",
        "{SSHA}c2VjcmV0",
        "{ARGON2}secret",
        "{ARGON2}$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
        "{ARGON2}$argon2id$v=19$m=8,t=99999,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
    ],
)
def test_clear_text_and_what_is_not_supported_never_match_and_say_why(value: str) -> None:
    problem = scheme_problem(value)
    assert problem
    assert "secret" not in problem
    assert not verify([value], Secret("secret"))


def test_any_of_several_values_may_match() -> None:
    values = ["{SSHA}broken", salted("SSHA", "sha1", b"one"), salted("SSHA256", "sha256", b"two")]
    assert verify(values, Secret("one"))
    assert verify(values, Secret("two"))
    assert not verify(values, Secret("three"))
    assert not verify([], Secret("one"))


@given(st.text(), st.sampled_from(["{ARGON2}", "{SSHA}", "{SSHA512}", "{", ""]))
@settings(max_examples=30, deadline=None)
def test_any_value_and_any_password_are_judged(text: str, scheme: str) -> None:
    verify([scheme + text], Secret(text))
    scheme_problem(scheme + text)


def test_passwords_are_prepared_as_opaque_strings() -> None:
    assert prepare(Secret("A\u030a")) == "Å".encode()
    assert prepare(Secret("a\u00a0b\u3000c")) == b"a b c"
    assert prepare(Secret("ﬁ")) == "ﬁ".encode()
    assert prepare(Secret("Straße ")) == "Straße ".encode()


@pytest.mark.parametrize("text", ["", "a\0b", "a\nb", "a\x85", "\ud800", "x" * 1025, "é" * 600])
def test_an_unfit_password_is_refused_when_set_and_wrong_when_checked(text: str) -> None:
    assert prepare(Secret(text)) is None
    with pytest.raises(OperatorError):
        hash_password(Secret(text))
    assert not verify([salted("SSHA", "sha1", b"")], Secret(text))


def test_an_unfit_password_costs_no_scram_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def matches(value: str, password: Secret) -> bool:
        asked.append(value)
        return False

    monkeypatch.setattr(scram_verifier, "matches", matches)
    value = scram_verifier.make_value(Secret("one"), scram_verifier.LEAST_ITERATIONS)
    verify([value], Secret("x" * 1025))
    assert asked == []
    verify([value], Secret("two"))
    assert asked == [value]


def test_generated_passwords_are_long_and_differ() -> None:
    passwords = {generate_password().reveal() for _ in range(50)}
    assert len(passwords) == 50
    assert all(len(password) == 23 for password in passwords)


async def test_the_checker_answers_from_its_threads() -> None:
    checker = PasswordChecker(threads=1)
    value = hash_password(Secret("one"))
    assert await checker.check([value], Secret("one"))
    assert not await checker.check([value], Secret("two"))
    checker.close()
