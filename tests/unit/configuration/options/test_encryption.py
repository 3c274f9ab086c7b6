"""Options about certificates and TLS: their names and defaults."""

from mailfront.configuration.option import Effect
from mailfront.configuration.options.encryption import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "encryption.rsa.nssslpersonalityssl": "Server-Cert",
        "encryption.tlsprofile": "intermediate",
        "local.imta.sslnicknames": "",
        "local.imap.sslnicknames": "",
        "local.pop.sslnicknames": "",
        "local.http.sslnicknames": "",
        "local.imta.tlsprofile": "",
        "local.imap.tlsprofile": "",
        "local.pop.tlsprofile": "",
        "local.http.tlsprofile": "",
        "local.imta.sessiontickets": "no",
        "local.imap.sessiontickets": "yes",
        "local.pop.sessiontickets": "yes",
        "local.http.sessiontickets": "yes",
    }


def test_whatever_changes_a_certificate_or_a_profile_is_followed_by_a_running_server() -> None:
    live = {option.name for option in OPTIONS if option.effect is Effect.LIVE}
    assert live == {option.name for option in OPTIONS if "sessiontickets" not in option.name}
