"""Which ports the options ask for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.listener.service_port import ServicePort
from mailfront.server.ports import (
    KINDS,
    check_distinct,
    offers_starttls,
    own_places,
    planned_ports,
)


def planned(**settings: str) -> dict[str, int]:
    options = {name.replace("__", "."): text for name, text in settings.items()}
    return {port.name: port.port for port in planned_ports(Configuration.of(options))}


def test_by_default_the_standard_ports_are_served() -> None:
    ports = planned()
    assert ports["smtp"] == 25
    assert (ports["submission"], ports["submissions"]) == (587, 465)
    assert (ports["imap"], ports["imaps"]) == (143, 993)
    assert (ports["pop3"], ports["pop3s"]) == (110, 995)
    assert ports["https"] == 443


def test_a_service_can_be_switched_off() -> None:
    ports = planned(service__imap__enable="off", service__pop__enablesslport="off")
    assert not ports.keys() & {"imap", "imaps", "pop3s"}
    assert "pop3" in ports


def test_tls_of_imap_and_pop_can_be_switched_off_as_a_whole() -> None:
    assert "imaps" not in planned(service__imap__sslusessl="off")
    configuration = Configuration.of({"service.imap.sslusessl": "off"})
    assert not offers_starttls(configuration, "imap")
    assert offers_starttls(configuration, "pop")
    assert offers_starttls(configuration, "imta")


def test_port_zero_of_clear_http_is_none() -> None:
    assert "http" not in planned(service__http__port="0")
    assert planned(service__http__port="8080")["http"] == 8080


def test_every_address_gets_every_port() -> None:
    configuration = Configuration.of({"service.listenaddr": "127.0.0.1, ::1"})
    addresses = {port.address for port in planned_ports(configuration) if port.name == "imaps"}
    assert addresses == {"127.0.0.1", "::1"}
    check_distinct(planned_ports(configuration))


def test_a_port_carries_its_limits_and_what_a_refused_client_is_told() -> None:
    configuration = Configuration.of(
        {"service.imap.maxsessions": "7", "service.handshaketimeout": "9"}
    )
    ports = {port.name: port for port in planned_ports(configuration)}
    assert ports["imap"].maximum_sessions == ports["imaps"].maximum_sessions == 7
    assert ports["imap"].handshake_timeout == 9
    assert ports["imap"].busy_reply.startswith(b"* BYE")
    assert ports["pop3"].busy_reply.startswith(b"-ERR")
    assert ports["smtp"].busy_reply.startswith(b"421 ")
    assert ports["imap"].option == "service.imap.port"
    assert ports["imaps"].option == "service.imap.sslport"


def test_no_port_with_implicit_tls_answers_in_clear() -> None:
    assert all(not kind.busy_reply for kind in KINDS if kind.implicit_tls)


def test_two_services_on_one_port_are_refused_with_both_options() -> None:
    configuration = Configuration.of({"service.pop.sslport": "993"})
    with pytest.raises(
        ConfigurationError, match=r"service\.imap\.sslport and service\.pop\.sslport are both 993"
    ):
        check_distinct(planned_ports(configuration))


def test_all_ports_of_a_service_are_behind_the_load_balancers() -> None:
    configuration = Configuration.of(
        {"service.imap.proxyprotocol": "yes", "service.proxynetworks": "192.0.2.7"}
    )
    proxies = {port.name: port.proxies for port in planned_ports(configuration)}
    assert proxies["imap"] == proxies["imaps"] == "192.0.2.7/32"
    assert proxies["pop3"] is proxies["smtp"] is None


def test_a_port_to_which_no_load_balancer_may_connect_is_a_mistake() -> None:
    configuration = Configuration.of({"service.submit.proxyprotocol": "yes"})
    with pytest.raises(ConfigurationError, match=r"submit.proxyprotocol.*service.proxynetworks"):
        check_distinct(planned_ports(configuration))


def test_our_own_places_are_addresses_by_port() -> None:
    ports = cast(
        list[ServicePort],
        [
            SimpleNamespace(bound_port=number, settings=SimpleNamespace(address=address))
            for number, address in ((143, "10.0.0.1"), (143, "::1"), (993, "0.0.0.0"), (995, ""))
        ],
    )
    assert own_places(ports) == {
        143: frozenset({"10.0.0.1", "::1"}),
        993: frozenset({""}),
        995: frozenset({""}),
    }
