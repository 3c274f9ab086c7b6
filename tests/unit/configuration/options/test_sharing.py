"""Options of sites with several front ends: their names and defaults."""

from mailfront.configuration.options.sharing import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "local.sharedstore.url": "",
        "local.sharedstore.passfile": "file:config/sharedstore.password",
        "local.sharedstore.secretfile": "file:config/site.secret",
        "local.sharedstore.timeout": "50",
        "local.ssl.ticketkeystore": "",
        "service.throttlestore": "",
    }
