"""Options of SMTP and submission: their names and defaults."""

from mailfront.configuration.options.smtp import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "service.smtp.enable": "yes",
        "service.smtp.port": "25",
        "service.smtp.maxsessions": "2000",
        "service.smtp.clientauth": "off",
        "service.smtp.proxyprotocol": "no",
        "service.smtp.sizelimit": "36700160",
        "service.submit.enable": "yes",
        "service.submit.port": "587",
        "service.submit.enablesslport": "yes",
        "service.submit.sslport": "465",
        "service.submit.plaintextmincipher": "128",
        "service.submit.maxsessions": "2000",
        "service.submit.clientauth": "request",
        "service.submit.proxyprotocol": "no",
        "service.authservicettl": "0",
        "service.popbeforesmtpkludgechannel": "",
    }
