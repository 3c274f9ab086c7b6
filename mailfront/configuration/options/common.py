"""What the groups of options by service have in common: ports, TLS ports, limits of sessions."""

from __future__ import annotations

from mailfront.configuration.option import Effect, Option
from mailfront.configuration.option_types import Boolean, Choice, Integer

HIGHEST_PORT = 65535
MOST_SESSIONS = 1_000_000

CLIENT_AUTHENTICATION = ("off", "request", "require")

PORT = Integer(1, HIGHEST_PORT)


def enable(service: str, title: str) -> Option:
    """Return the option that turns a service on."""
    return Option(
        f"service.{service}.enable",
        Boolean(),
        "yes",
        f"Whether {title} is served. No: none of its ports is opened.",
    )


def port(service: str, default: int, purpose: str) -> Option:
    """Return the option of a service's port."""
    return Option(f"service.{service}.port", PORT, str(default), purpose)


def tls_ports(service: str, default: int, name: str) -> tuple[Option, Option]:
    """Return the two options of a service's port for implicit TLS."""
    return (
        Option(
            f"service.{service}.enablesslport",
            Boolean(),
            "yes",
            f"Whether {name} is served on service.{service}.sslport, where TLS starts at once. "
            "The original's default is no; here it is yes, because RFC 8314 recommends implicit "
            "TLS for mail clients.",
        ),
        Option(
            f"service.{service}.sslport",
            PORT,
            str(default),
            f"Port of {name}, where TLS starts with the first byte ({default} is the registered "
            "one).",
        ),
    )


def maximum_sessions(service: str, default: int, title: str) -> Option:
    """Return the option that bounds a service's connections."""
    return Option(
        f"service.{service}.maxsessions",
        Integer(1, MOST_SESSIONS, "connections"),
        str(default),
        f"How many connections {title} has at a time; one more is told so and closed.",
    )


def plaintext_minimum_cipher(service: str, title: str, refusal: str) -> Option:
    """Return the option that keeps passwords out of clear text."""
    return Option(
        f"service.{service}.plaintextmincipher",
        Integer(-1, 256, "bits"),
        "128",
        f"Under what cipher {title} takes a password. N above 0: only inside TLS with a cipher of "
        f"N bits or more (AES-128 has 128, AES-256 and ChaCha20 have 256); under less {refusal}. "
        "0: also in clear text, which anybody on the way can read. -1: never, not even inside TLS. "
        "So it was in the original before release 6.3. The original's default is 0; here it is "
        "128, because no password travels in clear by default (RFC 8314).",
    )


def client_authentication(service: str, title: str, default: str = "request") -> Option:
    """Return the option that decides whether clients are asked for certificates."""
    return Option(
        f"service.{service}.clientauth",
        Choice(CLIENT_AUTHENTICATION),
        default,
        f"Whether clients of {title} are asked for a certificate when TLS begins. request: as soon "
        "as at least one CA is trusted for clients (`msgcert set-trust CA --trust client`); one "
        "without a certificate goes on without. require: who presents no certificate of such a CA "
        "is refused, with a TLS alert. off: never.",
        Effect.LIVE,
    )


def proxy_protocol(service: str, title: str) -> Option:
    """Return the option that puts a service's ports behind load balancers."""
    return Option(
        f"service.{service}.proxyprotocol",
        Boolean(),
        "no",
        f"Whether load balancers stand before all ports of {title}. With yes only addresses of "
        "service.proxynetworks may connect, and each connection must begin with a PROXY header, "
        "version 1 or 2, which tells the client's address.",
    )


def use_tls(service: str, title: str, command: str) -> Option:
    """Return the option that turns TLS off altogether."""
    return Option(
        f"service.{service}.sslusessl",
        Boolean(),
        "yes",
        f"Whether {title} offers TLS at all: {command} on the clear port, and the port for "
        "implicit TLS. With no and the default of plaintextmincipher nobody can log in by "
        "password.",
    )
