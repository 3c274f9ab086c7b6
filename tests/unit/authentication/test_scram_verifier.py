"""SCRAM verifiers as values of `userPassword`."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.authentication import scram_verifier
from mailfront.authentication.scram_verifier import (
    VerifierForgery,
    installation_secret,
    make_value,
    matches,
    parse_value,
    verifier_among,
)
from mailfront.errors import ConfigurationError, OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.scram import scram_verifier as derived

SALT, KEY = "W22ZaJ0SNY7soEsUEjb6gQ==", "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
SERVER = "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="


@pytest.mark.parametrize(
    "value",
    [
        f"{{SCRAM-SHA-256}}4096:{SALT}${KEY}:{SERVER}",
        f"{{scram-sha-256}}4096,{SALT},{KEY},{SERVER}",
    ],
)
def test_the_verifier_of_rfc_7677s_example_is_read_in_both_forms(value: str) -> None:
    found = parse_value(value)
    assert found is not None
    assert found == derived(b"pencil", found.salt, 4096)
    assert matches(value, Secret("pencil"))
    assert not matches(value, Secret("crayon"))
    assert not matches(value, Secret("\0"))


def test_what_is_made_is_read_and_is_another_each_time() -> None:
    first, second = (make_value(Secret("pässword"), 4096) for _ in range(2))
    assert first != second
    assert matches(first, Secret("pässword"))
    # SASLprep: compatibility characters are the same to clients.
    assert matches(first, Secret("pa\u0308ssword"))
    assert verifier_among(["{ARGON2}x", first, second]) == parse_value(first)
    assert verifier_among(["{ARGON2}x"]) is None


@pytest.mark.parametrize("password", ["", "a\0b", "\U0001f600"])
def test_a_password_that_scram_clients_cannot_send_is_told(password: str) -> None:
    with pytest.raises(OperatorError):
        make_value(Secret(password), 4096)


@pytest.mark.parametrize(
    "value",
    [
        "", "{SCRAM-SHA-256}", "{SCRAM-SHA-1}4096,a,b,c", f"{{SCRAM-SHA-256}}4096:{SALT}${KEY}:",
        f"{{SCRAM-SHA-256}}4095:{SALT}${KEY}:{SERVER}",
        f"{{SCRAM-SHA-256}}4096:{SALT}${SALT}:{KEY}",
        f"{{SCRAM-SHA-256}}1000001:{SALT}${KEY}:{SERVER}",
        f"{{SCRAM-SHA-256}}4096:!${KEY}:{SERVER}",
        f"{{SCRAM-SHA-256}}99999999:{SALT}${KEY}:{SERVER}",
        f"{{SCRAM-SHA-256}}4096:{SALT * 4}${KEY}:{SERVER}",
        f"{{SCRAM-SHA-256}}4096:ä${KEY}:{SERVER}",
    ],
)  # fmt: skip
def test_any_other_value_is_none(value: str) -> None:
    assert parse_value(value) is None
    assert not matches(value, Secret("pencil"))


@given(st.text(max_size=80))
def test_any_text_is_a_verifier_or_none(text: str) -> None:
    parse_value("{SCRAM-SHA-256}" + text)


def test_a_forged_verifier_is_the_same_for_the_same_name_and_installation_alone() -> None:
    ours, others = VerifierForgery(b"a" * 32, 5000), VerifierForgery(b"b" * 32, 5000)
    first = ours.verifier("nobody@example.test")
    assert first == VerifierForgery(b"a" * 32, 5000).verifier("nobody@example.test")
    assert first.salt != ours.verifier("somebody@example.test").salt
    assert first.salt != others.verifier("nobody@example.test").salt
    assert (first.iterations, len(first.salt)) == (5000, scram_verifier.SALT_OCTETS)


def test_the_secret_of_the_installation_is_made_once_and_is_its_owners_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "scram.secret"
    made = installation_secret(path)
    assert len(made) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert installation_secret(path) == made
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read it"):
        installation_secret(path)


@pytest.mark.parametrize("content", ["", "abc", "g" * 64, "a" * 65])
def test_a_damaged_secret_is_told_with_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scram.secret"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        installation_secret(path)
    assert "remove it" in str(caught.value)
