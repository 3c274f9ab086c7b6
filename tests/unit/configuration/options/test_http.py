"""Options of webmail: their names and defaults."""

from mailfront.configuration.options.http import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "service.http.enable": "yes",
        "service.http.port": "0",
        "service.http.enablesslport": "yes",
        "service.http.sslport": "443",
        "service.http.maxsessions": "6000",
        "service.http.clientauth": "request",
        "service.http.proxyprotocol": "no",
        "service.http.idletimeout": "3",
        "service.http.sessiontimeout": "120",
        "service.http.upstream": "embedded:",
        "service.http.upstreambalance": "address",
        "service.http.upstreampaths": "/",
        "service.http.upstreamtimeout": "300",
        "service.http.hostnames": "",
        "service.http.forwardedfrom": "",
        "service.http.certuserheader": "X-Client-User",
        "service.http.certdnheader": "X-Client-DN",
        "service.http.certfingerprintheader": "X-Client-Fingerprint",
        "service.http.bodylimit": "128",
    }
