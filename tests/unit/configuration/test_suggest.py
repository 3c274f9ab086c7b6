"""The nearest known name."""

from mailfront.configuration.suggest import did_you_mean, nearest

KNOWN = ("service.imap.port", "service.imap.sslport", "Notice")


def test_a_mistyped_name_finds_the_one_it_resembles_most() -> None:
    assert nearest("service.imap.prot", KNOWN) == "service.imap.port"


def test_case_does_not_matter_and_the_known_spelling_is_given() -> None:
    assert nearest("NOTICE", KNOWN) == "Notice"


def test_a_name_unlike_any_other_finds_nothing() -> None:
    assert nearest("xyzzy", KNOWN) is None
    assert did_you_mean("xyzzy", KNOWN, otherwise="look around") == "look around"


def test_an_overlong_name_is_not_compared() -> None:
    assert nearest("service.imap.port" * 1000, KNOWN) is None


def test_the_remedy_is_a_question() -> None:
    assert did_you_mean("service.imap.prt", KNOWN) == "did you mean service.imap.port?"
