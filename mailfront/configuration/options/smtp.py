"""Options of SMTP (mail from other servers) and submission (mail from this system's users)."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Size
from mailfront.configuration.options import pop_before_smtp
from mailfront.configuration.options.common import (
    client_authentication,
    enable,
    maximum_sessions,
    plaintext_minimum_cipher,
    port,
    proxy_protocol,
    tls_ports,
)

OPTIONS = (
    enable("smtp", "SMTP, by which other servers deliver mail,"),
    port("smtp", 25, "Port of SMTP for mail from other servers; TLS by STARTTLS (RFC 3207)."),
    maximum_sessions("smtp", 2000, "SMTP"),
    client_authentication("smtp", "SMTP between servers", default="off"),
    proxy_protocol("smtp", "SMTP between servers"),
    Option(
        "service.smtp.sizelimit",
        Size(64 * 1024, 2**31 - 1),
        str(35 * 2**20),
        "The largest message taken by SMTP, submission and webmail. It is announced by EHLO and "
        "enforced at MAIL and while the message arrives (RFC 1870).",
    ),
    enable("submit", "submission, by which users send mail,"),
    port("submit", 587, "Port of submission; TLS by STARTTLS, then a login (RFC 6409)."),
    *tls_ports("submit", 465, "submission over TLS"),
    plaintext_minimum_cipher("submit", "submission", "AUTH is not offered"),
    maximum_sessions("submit", 2000, "submission"),
    client_authentication("submit", "submission"),
    proxy_protocol("submit", "submission"),
    *pop_before_smtp.OPTIONS,
)
