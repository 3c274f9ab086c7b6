"""Options about certificates and TLS: their names and defaults."""

from mailfront.configuration.option import Effect
from mailfront.configuration.options.encryption import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "encryption.rsa.nssslpersonalityssl": "Server-Cert",
        "encryption.rsa.nsssltoken": "internal",
        "encryption.tlsprofile": "intermediate",
        "encryption.nsssl3ciphers": "",
        "encryption.tlsminversion": "",
        "encryption.tlsmaxversion": "",
        "local.ssl.autorenewselfsigned": "no",
        "local.service.ssl.sni": "yes",
        "local.ssl.ocspstapling": "yes",
        "local.ssl.ocsptimeout": "10",
        "local.ssl.ticketlifetime": "12",
        "local.ssl.invalidclientcert": "password",
        "local.ssl.crlexpired": "hard",
        "local.ssl.clientocsp": "off",
        "local.ssl.clientocsptimeout": "3",
        "local.imta.sslnicknames": "",
        "local.imap.sslnicknames": "",
        "local.pop.sslnicknames": "",
        "local.http.sslnicknames": "",
        "local.imta.fallbacknicknames": "",
        "local.imap.fallbacknicknames": "",
        "local.pop.fallbacknicknames": "",
        "local.http.fallbacknicknames": "",
        "local.imta.tlsprofile": "",
        "local.imta.nsssl3ciphers": "",
        "local.imta.tlsminversion": "",
        "local.imta.tlsmaxversion": "",
        "local.imap.tlsprofile": "",
        "local.imap.nsssl3ciphers": "",
        "local.imap.tlsminversion": "",
        "local.imap.tlsmaxversion": "",
        "local.pop.tlsprofile": "",
        "local.pop.nsssl3ciphers": "",
        "local.pop.tlsminversion": "",
        "local.pop.tlsmaxversion": "",
        "local.http.tlsprofile": "",
        "local.http.nsssl3ciphers": "",
        "local.http.tlsminversion": "",
        "local.http.tlsmaxversion": "",
        "local.imta.sessiontickets": "no",
        "local.imap.sessiontickets": "yes",
        "local.pop.sessiontickets": "yes",
        "local.http.sessiontickets": "yes",
    }


def test_a_running_server_follows_all_of_them() -> None:
    assert {option.effect for option in OPTIONS} == {Effect.LIVE}
