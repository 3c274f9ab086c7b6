"""What an examination holds, and what follows from it."""

from __future__ import annotations

from mailfront.tls.doctor.facts import Examination
from mailfront.tls.doctor.target import Target
from tests.support.authority import self_signed

TARGET = Target("127.0.0.1", 993, "mail.example.test", None, implicit=True)


def test_an_examination_begins_without_facts() -> None:
    facts = Examination(TARGET)
    assert facts.leaf is None
    assert facts.accepted_versions == ()
    assert (facts.trusted, facts.name_matches, facts.compression) == (None, None, None)


def test_the_leaf_is_the_first_certificate_of_the_chain() -> None:
    leaf, issuer = (self_signed(name).certificate for name in ("leaf", "issuer"))
    assert Examination(TARGET, chain=(leaf, issuer)).leaf == leaf


def test_accepted_versions_keep_the_order_in_which_they_were_tried() -> None:
    facts = Examination(TARGET)
    facts.versions.update({"TLS 1.3": True, "TLS 1.2": True, "TLS 1.1": False, "TLS 1.0": True})
    assert facts.accepted_versions == ("TLS 1.3", "TLS 1.2", "TLS 1.0")
