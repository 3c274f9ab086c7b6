"""Options of the way to other servers: their names and defaults."""

from mailfront.configuration.options.sending import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "dns.servers": "",
        "dns.trustad": "no",
        "dns.timeout": "5",
        "queue.connecttimeout": "30",
        "queue.commandtimeout": "300",
        "queue.cleartextlogin": "no",
    }
