"""Options of the webmail service."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Choice, Integer, Networks
from mailfront.configuration.options.common import (
    HIGHEST_PORT,
    client_authentication,
    enable,
    maximum_sessions,
    proxy_protocol,
    tls_ports,
)
from mailfront.configuration.upstream_list import EMBEDDED
from mailfront.configuration.web_proxy_types import (
    HeaderName,
    HostNames,
    WebPaths,
    WebUpstreamList,
)


def _identity_header(option: str, default: str, what: str) -> Option:
    return Option(
        f"service.http.{option}",
        HeaderName(),
        default,
        f"The header field that tells the webmail behind {what}, where the client presented a "
        "certificate that is accepted. A field of that name from outside, however spelled, is "
        "taken out. Empty: it is not told.",
    )


_PROXY_OPTIONS = (
    Option(
        "service.http.upstream",
        WebUpstreamList(),
        EMBEDDED,
        f"The webmail that the HTTPS service serves. {EMBEDDED} the one that is part of this "
        "server. Else one behind it, such as https://webmail1.example.com or "
        "http://127.0.0.1:8080, or several that are equals, divided by commas. In clear only on "
        "loopback, unless the URL ends in ?tls=none; ?name=HOST says what the server's "
        "certificate must be for.",
    ),
    Option(
        "service.http.upstreambalance",
        Choice(("address", "connections")),
        "address",
        "Which of several webmail servers a request goes to. address: a client's all to the same, "
        "as sessions in a server's files need it; connections: to the one with the fewest "
        "requests under way.",
    ),
    Option(
        "service.http.upstreampaths",
        WebPaths(),
        "/",
        "The paths that are passed on to the webmail behind, each with everything below it; "
        "elsewhere is nothing (404).",
    ),
    Option(
        "service.http.hostnames",
        HostNames(),
        "",
        "The names under which the webmail behind may be asked for; a request for another name is "
        "refused (421). Empty: any.",
    ),
    Option(
        "service.http.forwardedfrom",
        Networks(),
        "",
        "The HTTP load balancers in front, whose X-Forwarded-For, -Proto, -Host and -Port and "
        "Forwarded fields are believed and passed on to the webmail behind. From everybody else "
        "these fields are taken out. Balancers that send a PROXY header need no place here.",
    ),
    _identity_header("certuserheader", "X-Client-User", "whom the certificate maps to"),
    _identity_header("certdnheader", "X-Client-DN", "the certificate's subject (RFC 4514)"),
    _identity_header(
        "certfingerprintheader", "X-Client-Fingerprint", "the certificate's SHA-256 in hexadecimal"
    ),
    Option(
        "service.http.bodylimit",
        Integer(0, 1_048_576, "MiB"),
        "128",
        "How many MiB a request to the webmail behind may carry; 0: any number.",
    ),
    Option(
        "service.http.upstreamtimeout",
        Integer(1, 86_400, "seconds"),
        "300",
        "How many seconds the webmail behind may be silent while an answer of it is awaited or "
        "under way, and the client while it sends or takes one. WebSockets may be silent for ever.",
    ),
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
    *_PROXY_OPTIONS,
)
