"""Options of the queue: their names and defaults."""

from mailfront.configuration.options.queue import OPTIONS


def test_names_and_defaults_of_the_queue() -> None:
    defaults = {option.name: option.default for option in OPTIONS}
    expected = {
        "queue.enable": "yes",
        "queue.maxmessages": "100000",
        "queue.diskreserve": str(64 * 2**20),
        "queue.maxjobs": "100",
        "queue.maxrecipients": "100",
        "queue.firstretry": "300",
        "queue.longestretry": "14400",
        "queue.warnafter": "3",
        "queue.warnagain": "24",
        "queue.expiry": "120",
    }
    assert expected.items() <= defaults.items()
