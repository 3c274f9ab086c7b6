"""How much time a file may ask for: the iteration counts in it, judged before they are run.

A PKCS#12 file or an encrypted key states how often its password is to be hashed; a hostile one
states thousands of millions. Takes BER elements, raises `KeystoreError` beyond the bound. The
parameters are those of RFC 8018 appendix A, RFC 7292 appendix C and RFC 7914 section 7.
"""

from __future__ import annotations

import math

from mailfront.errors import KeystoreError
from mailfront.keystore import ber

# Ten times what the most careful writers use; a few seconds.
MAXIMUM_ITERATIONS = 10_000_000
# N·r·p of scrypt, which bounds its time; its memory is 128 octets times N·r, here 1 GiB.
MAXIMUM_SCRYPT = 1 << 23
_SCRYPT = ber.object_identifier("1.3.6.1.4.1.11591.4.11")
_PBKDF2 = "1.2.840.113549.1.5.12"
_PBES1 = tuple(f"1.2.840.113549.1.5.{scheme}" for scheme in (1, 3, 4, 6, 10, 11))
_PKCS12 = tuple(f"1.2.840.113549.1.12.1.{scheme}" for scheme in range(1, 7))
_ITERATED = frozenset(map(ber.object_identifier, (_PBKDF2, *_PBES1, *_PKCS12)))


def check_derivations(element: ber.Element) -> None:
    """Raise `KeystoreError` if a key derivation in `element` would take too much time."""
    pending = [element]
    while pending:
        present = pending.pop()
        pending += present.children
        if present.has(ber.OBJECT_IDENTIFIER, ber.SEQUENCE):
            identifier, parameters = present.children[:2]
            numbers = [child.number() for child in parameters.children if child.tag == ber.INTEGER]
            if identifier.octets in _ITERATED:
                check_iterations(max(numbers, default=0))
            elif identifier.octets == _SCRYPT and math.prod(numbers[:3]) > MAXIMUM_SCRYPT:
                raise _too_expensive(f"scrypt with N·r·p = {math.prod(numbers[:3])}")


def check_iterations(count: int) -> None:
    """Raise `KeystoreError` if `count` iterations would take too much time."""
    if count > MAXIMUM_ITERATIONS:
        raise _too_expensive(f"{count} iterations")


def _too_expensive(what: str) -> KeystoreError:
    return KeystoreError(
        f"its key derivation asks for {what}",
        remedy=f"write the file anew with at most {MAXIMUM_ITERATIONS} iterations",
    )
