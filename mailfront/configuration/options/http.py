"""Options of the webmail service."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Integer
from mailfront.configuration.options.common import (
    HIGHEST_PORT,
    client_authentication,
    enable,
    maximum_sessions,
    proxy_protocol,
    tls_ports,
)

OPTIONS = (
    enable("http", "webmail"),
    Option(
        "service.http.port",
        Integer(0, HIGHEST_PORT),
        "0",
        "Port of clear HTTP, which only redirects to the TLS port; 0: there is none. The "
        "original's default is 80 and serves mail in clear; here mail is served over TLS only.",
    ),
    *tls_ports("http", 443, "webmail (HTTPS)"),
    maximum_sessions("http", 6000, "webmail"),
    client_authentication("http", "webmail"),
    proxy_protocol("http", "webmail"),
    Option(
        "service.http.idletimeout",
        Integer(1, 60, "minutes"),
        "3",
        "After how many minutes without a request an HTTP connection is closed. The person "
        "stays signed in; see service.http.sessiontimeout.",
    ),
    Option(
        "service.http.sessiontimeout",
        Integer(1, 10_080, "minutes"),
        "120",
        "After how many minutes without a request a signed-in person must sign in again.",
    ),
)
