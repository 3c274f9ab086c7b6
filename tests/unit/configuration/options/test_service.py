"""Options of all services: their names and defaults."""

from mailfront.configuration.options.service import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "service.listenaddr": "",
        "service.hostname": "",
        "service.defaultdomain": "",
        "service.connectionsperaddress": "100",
        "service.maxconnections": "10000",
        "service.proxynetworks": "",
        "service.frontnetworks": "",
        "service.handshaketimeout": "10",
        "service.handshakesperminute": "1200",
        "service.maxhandshakes": "500",
        "service.maxhandshakesperaddress": "50",
        "service.logintimeout": "60",
        "service.holdwait": "30",
        "service.badcommandlimit": "20",
        "service.draintimeout": "10",
        "service.workers": "1",
        "service.eventloop": "uvloop",
        "local.serveruid": "",
    }
