"""For which names a server's certificate stands."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mailfront.outgoing.certificate_names import fits_a_name
from tests.support.issuing import Issuer

LEAF = Issuer().issue("mx.example.test", "*.wild.test", "192.0.2.1").leaf.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (["mx.example.test"], True),
        (["MX.example.test"], True),
        (["other.test", "mx.example.test"], True),
        (["a.wild.test"], True),
        (["a.b.wild.test"], False),
        (["wild.test"], False),
        ([".example.test"], True),
        ([".mx.example.test"], False),
        (["[192.0.2.1]"], True),
        (["[192.0.2.2]"], False),
        (["192.0.2.1"], False),
        ([], False),
    ],
)
def test_names_are_compared_by_rfc_9525(wanted: list[str], fits: bool) -> None:
    assert fits_a_name(LEAF, wanted) is fits


def test_octets_that_are_no_certificate_stand_for_nothing() -> None:
    assert not fits_a_name(b"nonsense", ["mx.example.test"])
