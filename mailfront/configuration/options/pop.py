"""Options of the POP3 service."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Integer
from mailfront.configuration.options.common import (
    client_authentication,
    enable,
    maximum_sessions,
    plaintext_minimum_cipher,
    port,
    proxy_protocol,
    tls_ports,
    use_tls,
)

OPTIONS = (
    enable("pop", "POP3"),
    port("pop", 110, "Port of POP3, where the client starts TLS with STLS (RFC 2595)."),
    *tls_ports("pop", 995, "POP3 over TLS"),
    use_tls("pop", "POP3", "STLS"),
    plaintext_minimum_cipher("pop", "POP3", "USER, PASS and AUTH PLAIN are refused"),
    maximum_sessions("pop", 600, "POP3"),
    client_authentication("pop", "POP3"),
    proxy_protocol("pop", "POP3"),
    Option(
        "service.pop.idletimeout",
        Integer(10, 1_440, "minutes"),
        "10",
        "After how many minutes without a command an authenticated POP3 connection is closed, "
        "its deletions not applied. RFC 1939 section 3 allows no less than 10.",
    ),
)
