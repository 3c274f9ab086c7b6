"""The admin listener: metrics for Prometheus and the status as JSON, on loopback only.

Plain HTTP without a login, so it never listens anywhere else. Everything it tells comes from the
status at the moment of the request; nothing is counted here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mailfront.interfaces.status import QueueStatus, ServerNamesStatus, StatusSource
from mailfront.listener.sockets import bind

LOOPBACK = "127.0.0.1"
PORT_OPTION = "service.admin.port"
_CONTENT_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


def bind_admin(port: int) -> socket.socket | None:
    """Bind the admin port on loopback; None for port 0. Raises `ListenError`."""
    if not port:
        return None
    return bind(LOOPBACK, port, option=PORT_OPTION, client_speaks_first=False)


class AdminSite:
    """Serves `/metrics` and `/status`."""

    def __init__(self, source: StatusSource) -> None:
        self._source = source
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(StatusCollector(source))
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/status", self._status)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer on a bound socket."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Close the socket and every connection."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=generate_latest(self._registry), headers=_CONTENT_TYPE)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._source.status().as_json())


class StatusCollector(Collector):
    """The status as metrics."""

    def __init__(self, source: StatusSource) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        """Part of `prometheus_client`."""
        status = self._source.status()
        connections = GaugeMetricFamily(
            "mailfront_connections", "Connections open now.", labels=["port"]
        )
        outdated = GaugeMetricFamily(
            "mailfront_certificate_outdated",
            "1 where another certificate is served than the keystore has.",
            labels=["port"],
        )
        served = GaugeMetricFamily(
            "mailfront_port_certificate_expiry_seconds",
            "When the certificate that is served expires, in seconds since 1970.",
            labels=["port"],
        )
        for port in status.ports:
            label = [f"{port.name}:{port.address}:{port.port}"]
            connections.add_metric(label, port.connections)
            outdated.add_metric(label, port.is_outdated)
            if port.expires is not None:
                served.add_metric(label, port.expires.timestamp())
        expiry = GaugeMetricFamily(
            "mailfront_certificate_expiry_seconds",
            "When the keystore's certificate expires, in seconds since 1970.",
            labels=["nickname", "services"],
        )
        stapled = GaugeMetricFamily(
            "mailfront_certificate_stapled_until_seconds",
            "Until when an OCSP response is stapled to the certificate, in seconds since 1970.",
            labels=["nickname", "services"],
        )
        for certificate in status.certificates:
            label = [certificate.nickname, ",".join(certificate.services)]
            expiry.add_metric(label, certificate.expires.timestamp())
            if certificate.stapled_until is not None:
                stapled.add_metric(label, certificate.stapled_until.timestamp())
        events = CounterMetricFamily(
            "mailfront_events", "Events since the start, by name.", labels=["event"]
        )
        for name, count in status.counters.items():
            events.add_metric([name], count)
        problems = GaugeMetricFamily("mailfront_problems", "Problems that the status tells of.")
        problems.add_metric([], len(status.problems))
        found = [connections, outdated, served, expiry, stapled, events, problems]
        if status.server_names is not None:
            found += _server_names(status.server_names)
        if status.queue is not None:
            found += _queue(status.queue)
        return found


def _server_names(status: ServerNamesStatus) -> Iterable[Metric]:
    """Of all certificates that clients are shown by name; single ones only where they need care."""
    states = GaugeMetricFamily(
        "mailfront_named_certificates",
        "Certificates that clients are shown by the name they ask for (SNI).",
        labels=["state"],
    )
    states.add_metric(["all"], status.certificates)
    states.add_metric(["expiring"], status.expiring)
    states.add_metric(["expired"], status.expired)
    states.add_metric(["refused"], status.refused)
    expiry = GaugeMetricFamily(
        "mailfront_named_certificates_next_expiry_seconds",
        "When the first of them expires, in seconds since 1970.",
    )
    expiry.add_metric([], status.next_expiry.timestamp())
    return states, expiry


def _queue(status: QueueStatus) -> Iterable[Metric]:
    messages = GaugeMetricFamily("mailfront_queue_messages", "Messages in the outgoing queue.")
    messages.add_metric([], status.messages)
    recipients = GaugeMetricFamily(
        "mailfront_queue_recipients", "Their recipients, by state.", labels=["state"]
    )
    recipients.add_metric(["waiting"], status.waiting)
    recipients.add_metric(["held"], status.held)
    unreachable = GaugeMetricFamily(
        "mailfront_queue_unreachable_destinations",
        "Destinations that could not be reached at the last attempt.",
    )
    unreachable.add_metric([], len(status.unreachable))
    return messages, recipients, unreachable
