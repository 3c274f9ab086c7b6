"""Which exchangers an MTA-STS policy allows."""

from __future__ import annotations

import pytest

from mailfront.outgoing.transport_policy import NoPolicies, StsMode, StsPolicy

POLICY = StsPolicy("example.test", StsMode.ENFORCE, ("mx.example.test", "*.mail.test"))


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mx.example.test", True),
        ("MX.Example.test.", True),
        ("a.mail.test", True),
        ("a.b.mail.test", False),
        ("mail.test", False),
        (".mail.test", False),
        ("mx.elsewhere.test", False),
        ("", False),
    ],
)
def test_a_star_stands_for_one_label(host: str, allowed: bool) -> None:
    assert POLICY.allows(host) is allowed


async def test_without_a_source_there_is_no_policy() -> None:
    assert await NoPolicies().policy_for("example.test") is None
