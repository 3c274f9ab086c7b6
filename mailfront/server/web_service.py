"""The HTTPS service out of the options: the webmail of this server, or a proxy to one behind it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network

from aiohttp import web

from mailfront.backend.upstream.web import WebUpstreams
from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.upstream_list import parse_upstreams
from mailfront.front.http.application import create_application
from mailfront.front.http.bad_requests import BadRequestFilter
from mailfront.front.http.reverse_proxy.application import FIELD_LIMIT, create_proxy
from mailfront.front.http.reverse_proxy.settings import ProxySettings
from mailfront.front.http.services import Services

_BAD_REQUESTS = BadRequestFilter()
_MINUTE = 60.0
_MIB = 1024 * 1024


def passes_on(configuration: Configuration) -> bool:
    """Whether the webmail is behind us: then every worker can serve it."""
    return bool(parse_upstreams(configuration.string("service.http.upstream"), ("http",)))


def web_upstreams(
    configuration: Configuration, context: Callable[[], ssl.SSLContext]
) -> WebUpstreams | None:
    """The webmail servers behind us, or None; `context` gives the TLS context of the moment."""
    upstreams = parse_upstreams(configuration.string("service.http.upstream"), ("http",))
    if not upstreams:
        return None
    return WebUpstreams(
        upstreams,
        context,
        connect_timeout=configuration.integer("service.upstream.timeout"),
        silence=configuration.integer("service.http.upstreamtimeout"),
        by_address=configuration.string("service.http.upstreambalance") == "address",
    )


def web_runner(
    configuration: Configuration,
    services: Services,
    servers: WebUpstreams | None,
    *,
    keeps_status: bool,
) -> web.AppRunner:
    """The runner whose server is the front of the HTTPS port.

    `keeps_status`: a session begun here comes back here, so that our status page can be served.
    """
    logging.getLogger("aiohttp.server").addFilter(_BAD_REQUESTS)
    keep_alive = configuration.integer("service.http.idletimeout") * _MINUTE
    if servers is None:
        return web.AppRunner(
            create_application(services), access_log=None, keepalive_timeout=keep_alive
        )
    settings = proxy_settings(configuration, keeps_status=keeps_status)
    home = "/status" if keeps_status else "/"
    services = replace(services, settings=replace(services.settings, home=home))
    return web.AppRunner(
        create_proxy(settings, services, servers),
        access_log=None,
        keepalive_timeout=keep_alive,
        handler_cancellation=True,
        auto_decompress=False,
        max_line_size=FIELD_LIMIT,
        max_field_size=FIELD_LIMIT,
    )


def proxy_settings(configuration: Configuration, *, keeps_status: bool) -> ProxySettings:
    """What the options say to the reverse proxy."""
    return ProxySettings(
        paths=configuration.names("service.http.upstreampaths"),
        hosts=frozenset(configuration.names("service.http.hostnames")),
        balancers=tuple(map(ip_network, configuration.names("service.http.forwardedfrom"))),
        user_header=configuration.string("service.http.certuserheader"),
        name_header=configuration.string("service.http.certdnheader"),
        fingerprint_header=configuration.string("service.http.certfingerprintheader"),
        body_limit=configuration.integer("service.http.bodylimit") * _MIB,
        silence=configuration.integer("service.http.upstreamtimeout"),
        keeps_status=keeps_status,
    )
