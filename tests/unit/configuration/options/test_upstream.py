"""Options of the multiplexor: their names and defaults."""

from mailfront.configuration.options.upstream import OPTIONS


def test_names_and_defaults() -> None:
    defaults = {option.name: option.default for option in OPTIONS}
    for service in ("imap", "pop"):
        assert defaults[f"service.{service}.upstream"] == "embedded:"
        assert defaults[f"service.{service}.mailhosturl"] == f"{service}://%h"
    assert defaults["local.service.proxy.admin"] == ""
    assert defaults["service.upstream.timeout"] == "10"


def test_no_password_is_an_option_of_its_own() -> None:
    [password] = [option for option in OPTIONS if "pass" in option.name]
    assert password.name == "local.service.proxy.adminpassfile"
    assert password.default == "config/proxyadmin.password"
