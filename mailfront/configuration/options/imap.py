"""Options of the IMAP service."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Integer, Size
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
    enable("imap", "IMAP"),
    port("imap", 143, "Port of IMAP, where the client starts TLS with STARTTLS (RFC 9051)."),
    *tls_ports("imap", 993, "IMAP over TLS"),
    use_tls("imap", "IMAP", "STARTTLS"),
    plaintext_minimum_cipher("imap", "IMAP", "LOGINDISABLED is announced"),
    maximum_sessions("imap", 4000, "IMAP"),
    client_authentication("imap", "IMAP"),
    proxy_protocol("imap", "IMAP"),
    Option(
        "service.imap.idletimeout",
        Integer(30, 10_080, "minutes"),
        "30",
        "After how many minutes without a command an authenticated IMAP connection is closed. "
        "RFC 9051 section 5.4 allows no less than 30.",
    ),
    Option(
        "service.imap.literallimit",
        Size(64 * 1024, 2**31 - 1),
        str(35 * 2**20),
        "The largest message that APPEND stores. A larger one is refused before it is sent, or, "
        "if the client does not wait, skipped without being kept.",
    ),
)
