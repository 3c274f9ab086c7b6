"""Options of the log: their names and defaults."""

from mailfront.configuration.options.logfile import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "logfile.default.loglevel": "Notice",
        "logfile.default.destination": "stderr",
    }
