"""Options of the message store: their names and defaults."""

from mailfront.configuration.options.store import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "store.admins": "",
    }
