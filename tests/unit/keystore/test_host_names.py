"""A host name stands in a certificate as itself, or as a wildcard for its left-most label."""

from __future__ import annotations

import pytest

from mailfront.keystore.host_names import patterns_for


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        ("mail.example.test", ["mail.example.test", "*.example.test"]),
        ("MAIL.Example.test", ["mail.example.test", "*.example.test"]),
        ("a.b.test", ["a.b.test", "*.b.test"]),
        ("localhost", ["localhost"]),
        ("localhost.", ["localhost."]),
        ("*.example.test", ["*.example.test", "*.example.test"]),
        ("", [""]),
    ],
)
def test_a_name_has_its_pattern_and_one_wildcard(name: str, patterns: list[str]) -> None:
    assert list(patterns_for(name)) == patterns
