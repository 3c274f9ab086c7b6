"""What a supervisor hands to a worker: place, options, bound ports, ticket keys.

One JSON line over a pair of sockets, made by `Handover.line`, read by `Handover.of_line`. Listening
sockets go as numbers of descriptors, which the worker inherits. The options are those that the
supervisor started with, so that all workers agree on what needs a restart.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mailfront.configuration.msg_conf import Configuration
from mailfront.listener.service_port import PortSettings
from mailfront.server.ports import planned_ports
from mailfront.server.wiring import BoundPort
from mailfront.server.worker_place import WorkerPlace
from mailfront.sharing.given_keys import of_plain, plain
from mailfront.tls.session_tickets import TicketKey


@dataclass(frozen=True, slots=True)
class Handover:
    """Everything that a worker needs; `settings` are the options that are set, as texts."""

    root: Path
    place: WorkerPlace
    settings: Mapping[str, str]
    ports: Sequence[tuple[PortSettings, int]]
    keys: Sequence[TicketKey]

    def line(self) -> bytes:
        """Return what to send."""
        record = {
            "root": str(self.root),
            "place": asdict(self.place),
            "settings": dict(self.settings),
            "ports": [[port.name, port.address, descriptor] for port, descriptor in self.ports],
            "keys": plain(self.keys),
        }
        return json.dumps(record).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Handover:
        """Return what was sent."""
        record = json.loads(line)
        # The same options make the same ports there as here.
        planned = planned_ports(Configuration.of(record["settings"]))
        settings = {(port.name, port.address): port for port in planned}
        return cls(
            root=Path(record["root"]),
            place=WorkerPlace(**record["place"]),
            settings=record["settings"],
            ports=[
                (settings[name, address], descriptor)
                for name, address, descriptor in record["ports"]
            ],
            keys=of_plain(record["keys"]),
        )

    def bound_ports(self) -> list[BoundPort]:
        """Take the inherited sockets; once, in the worker."""
        bound = []
        for settings, descriptor in self.ports:
            listener = socket.socket(fileno=descriptor)
            listener.setblocking(False)
            listener.set_inheritable(False)
            bound.append(BoundPort(settings, listener))
        return bound


def keys_line(keys: Sequence[TicketKey]) -> bytes:
    """Return what tells a worker of other ticket keys."""
    return json.dumps(plain(keys)).encode() + b"\n"


def keys_of_line(line: bytes) -> list[TicketKey]:
    """Return the keys that `keys_line` told of."""
    return of_plain(json.loads(line))
