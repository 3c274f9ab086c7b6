"""Options about certificates and TLS: their names and defaults."""

from mailfront.configuration.option import Effect
from mailfront.configuration.options.encryption import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "encryption.rsa.nssslpersonalityssl": "Server-Cert",
        "encryption.tlsprofile": "intermediate",
        "local.ssl.autorenewselfsigned": "no",
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


def test_a_running_server_follows_all_of_them() -> None:
    assert {option.effect for option in OPTIONS} == {Effect.LIVE}
