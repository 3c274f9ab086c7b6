"""How much time a file may ask for: what programs write passes, what nobody would is refused."""

from __future__ import annotations

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore import ber
from mailfront.keystore.derivation_bounds import (
    MAXIMUM_ITERATIONS,
    check_derivations,
    check_iterations,
)


def derivation(dotted: str, *numbers: int) -> ber.Element:
    parameters = [ber.Element(ber.OCTET_STRING, b"saltsalt", ())]
    parameters += [ber.Element(ber.INTEGER, number.to_bytes(6), ()) for number in numbers]
    identifier = ber.Element(ber.OBJECT_IDENTIFIER, ber.object_identifier(dotted), ())
    algorithm = ber.Element(
        ber.SEQUENCE, b"", (identifier, ber.Element(ber.SEQUENCE, b"", tuple(parameters)))
    )
    return ber.Element(ber.SEQUENCE, b"", (ber.Element(ber.SEQUENCE, b"", (algorithm,)),))


ITERATED = ["1.2.840.113549.1.5.12", "1.2.840.113549.1.5.3", "1.2.840.113549.1.12.1.3"]
SCRYPT = "1.3.6.1.4.1.11591.4.11"


@pytest.mark.parametrize("dotted", ITERATED)
def test_iterations_up_to_the_bound_pass(dotted: str) -> None:
    check_derivations(derivation(dotted, 2048))
    check_derivations(derivation(dotted, MAXIMUM_ITERATIONS, 32))


@pytest.mark.parametrize("dotted", ITERATED)
def test_iterations_beyond_the_bound_are_refused(dotted: str) -> None:
    with pytest.raises(KeystoreError, match="4294967296 iterations"):
        check_derivations(derivation(dotted, 1 << 32))


def test_an_scrypt_of_today_passes_and_a_monstrous_one_is_refused() -> None:
    check_derivations(derivation(SCRYPT, 1 << 17, 8, 1))
    for parameters in ((1 << 30, 8, 1), (1 << 17, 1 << 20, 1), (2, 8, 1 << 40)):
        with pytest.raises(KeystoreError, match="scrypt"):
            check_derivations(derivation(SCRYPT, *parameters))


def test_numbers_of_other_algorithms_mean_nothing() -> None:
    check_derivations(derivation("2.5.29.17", 1 << 40))


def test_a_count_alone_is_judged_too() -> None:
    check_iterations(MAXIMUM_ITERATIONS)
    with pytest.raises(KeystoreError):
        check_iterations(MAXIMUM_ITERATIONS + 1)
