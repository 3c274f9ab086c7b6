"""Options of standing policies: what is on and what is off by default."""

from __future__ import annotations

from mailfront.configuration.msg_conf import Configuration


def test_policies_of_others_count_and_nothing_is_published_or_reported_by_default() -> None:
    defaults = Configuration.of({})
    assert defaults.boolean("mtasts.enable")
    assert not defaults.boolean("mtasts.publicauthorities")
    assert not defaults.boolean("tlsreport.enable")
    assert defaults.names("dkim.selectors") == ()
    assert defaults.string("service.http.mtasts.mode") == ""


def test_a_domain_and_its_selector_are_one_item() -> None:
    chosen = Configuration.of({"dkim.selectors": "example.org:a, example.org:b"})
    assert chosen.names("dkim.selectors") == ("example.org:a", "example.org:b")
