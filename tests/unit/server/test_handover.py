"""What a supervisor hands to a worker."""

from __future__ import annotations

import socket
from pathlib import Path

from mailfront.configuration.msg_conf import Configuration
from mailfront.server.handover import Handover, keys_line, keys_of_line
from mailfront.server.ports import planned_ports
from mailfront.server.worker_place import WorkerPlace
from mailfront.tls.session_tickets import TicketKey

CONFIGURATION = Configuration.of({"service.listenaddr": "127.0.0.1", "service.workers": "3"})


def handover(*descriptors: int) -> Handover:
    ports = planned_ports(CONFIGURATION)
    return Handover(
        root=Path("/srv/mail"),
        place=WorkerPlace(1, 3),
        settings=CONFIGURATION.settings(),
        ports=list(zip(ports, descriptors, strict=False)),
        keys=[TicketKey(0.0)],
    )


def test_it_comes_over_as_it_was() -> None:
    sent = handover(*range(10, 30))
    line = sent.line()
    assert line.count(b"\n") == 1
    received = Handover.of_line(line)
    assert received == sent
    assert not Configuration.of(received.settings).differences(CONFIGURATION)


def test_keys_come_over_alone_too() -> None:
    keys = [TicketKey(0.0), TicketKey(0.0)]
    assert keys_of_line(keys_line(keys)) == keys


def test_inherited_sockets_are_taken_and_not_inherited_further() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        ((taken),) = handover(listener.detach()).bound_ports()
        with taken.listener:
            assert taken.settings == planned_ports(CONFIGURATION)[0]
            assert not taken.listener.get_inheritable()
            assert not taken.listener.getblocking()
