"""The server's status at one moment, out of its ports, contexts and counters."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mailfront.configuration.msg_conf import Configuration
from mailfront.interfaces.status import (
    CertificateStatus,
    PortStatus,
    QueueStatus,
    ServerNamesStatus,
    ServerStatus,
)
from mailfront.listener.service_port import ServicePort
from mailfront.observability.counters import Counters
from mailfront.server.ports import offers_starttls
from mailfront.version import VERSION


class StatusReport:
    """Implements `StatusSource` for the running server."""

    def __init__(
        self,
        configuration: Configuration,
        counters: Counters,
        problems: Callable[[], Sequence[str]],
        certificates: Callable[[], Sequence[CertificateStatus]],
        warnings: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.ports: Sequence[ServicePort] = ()
        self.event_loop = ""
        self.server_names: ServerNamesStatus | None = None
        self.queue: Callable[[], QueueStatus | None] = lambda: None
        self._configuration = configuration
        self._counters = counters
        self._problems = problems
        self._certificates = certificates
        self._warnings = warnings
        self._started = datetime.now(UTC)

    def status(self) -> ServerStatus:
        """Part of `StatusSource`."""
        return ServerStatus(
            version=VERSION,
            pid=os.getpid(),
            started=self._started,
            event_loop=self.event_loop,
            ports=tuple(self._port(port) for port in self.ports),
            problems=tuple(self._problems()),
            counters=self._counters.values(),
            certificates=tuple(self._certificates()),
            warnings=tuple(self._warnings()),
            server_names=self.server_names,
            queue=self.queue(),
        )

    def _port(self, port: ServicePort) -> PortStatus:
        settings, context = port.settings, port.slot.current
        presents = context is not None and self._tls(port) != "none"
        return PortStatus(
            service=settings.service,
            name=settings.name,
            address=settings.address or "*",
            port=port.bound_port,
            tls=self._tls(port),
            nickname=context.nickname if context is not None and presents else "",
            fingerprint=context.fingerprint if context is not None and presents else "",
            expires=context.expires if context is not None and presents else None,
            connections=len(port.connections),
            problem=port.slot.problem,
            keystore_fingerprint=port.slot.wanted_fingerprint if presents else "",
            policy=context.policy.name if context is not None and presents else "",
            client_certificates=port.client_authentication.description if presents else "",
        )

    def _tls(self, port: ServicePort) -> str:
        if port.settings.implicit_tls:
            return "implicit"
        if port.settings.name == "http":
            return "none"
        offered = offers_starttls(self._configuration, port.settings.service)
        return "starttls" if offered else "none"
