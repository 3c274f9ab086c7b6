"""Options of the way to other servers: the DNS that is asked, and how long they may take."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Boolean, Integer, Text

OPTIONS = (
    Option(
        "dns.servers",
        Text("IP addresses with commas between, each with #port behind it or not; or empty"),
        "",
        "The resolvers that are asked where mail for other domains goes. Empty: those of "
        "/etc/resolv.conf. DANE needs a validating one on this machine, such as unbound.",
    ),
    Option(
        "dns.trustad",
        Boolean(),
        "no",
        "Whether a resolver that is not on loopback is believed when it says that DNSSEC proved an "
        "answer. Only where nobody can change what passes between it and this machine.",
    ),
    Option(
        "dns.timeout",
        Integer(1, 60, "seconds"),
        "5",
        "How long a resolver has for an answer before the next one is asked.",
    ),
    Option(
        "queue.connecttimeout",
        Integer(1, 300, "seconds"),
        "30",
        "How long another server's address has to take a connection before the next one is tried.",
    ),
    Option(
        "queue.commandtimeout",
        Integer(1, 3600, "seconds"),
        "300",
        "How long another server has to answer a command (RFC 5321 section 4.5.3.2 wants 300). It "
        "has twice as long to answer the end of a message.",
    ),
    Option(
        "queue.cleartextlogin",
        Boolean(),
        "no",
        "Whether a channel with maysaslclient or mustsaslclient may tell its password where "
        "nothing protects it. No: SCRAM inside any TLS, PLAIN only to a server that was verified, "
        "or for which config/tls_policy says encrypt.",
    ),
)
