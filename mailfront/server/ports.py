"""Which ports the configuration asks for: options in, one record per listening port out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.listener.service_port import PortSettings, ServicePort


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of port. `group` is the middle of its option names (`service.GROUP.port`)."""

    service: str
    name: str
    group: str
    implicit_tls: bool
    busy_reply: bytes = b""

    @property
    def option(self) -> str:
        return f"service.{self.group}.{'sslport' if self.implicit_tls else 'port'}"


_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104

_IMAP_BUSY = b"* BYE [LIMIT] Too many connections\r\n"
_POP_BUSY = b"-ERR [SYS/TEMP] Too many connections\r\n"
_SMTP_BUSY = b"421 4.7.0 Too many connections\r\n"

KINDS = (
    _Kind("imta", "smtp", "smtp", implicit_tls=False, busy_reply=_SMTP_BUSY),
    _Kind("imta", "submission", "submit", implicit_tls=False, busy_reply=_SMTP_BUSY),
    _Kind("imta", "submissions", "submit", implicit_tls=True),
    _Kind("imap", "imap", "imap", implicit_tls=False, busy_reply=_IMAP_BUSY),
    _Kind("imap", "imaps", "imap", implicit_tls=True),
    _Kind("pop", "pop3", "pop", implicit_tls=False, busy_reply=_POP_BUSY),
    _Kind("pop", "pop3s", "pop", implicit_tls=True),
    _Kind("http", "http", "http", implicit_tls=False),
    _Kind("http", "https", "http", implicit_tls=True),
)

# Groups whose TLS can be switched off as a whole (service.GROUP.sslusessl).
_TLS_SWITCH = frozenset({"imap", "pop"})


def planned_ports(configuration: Configuration) -> list[PortSettings]:
    """Every port to listen on, one record per address and port, in the order of `KINDS`."""
    addresses = configuration.names("service.listenaddr") or ("",)
    return [
        PortSettings(
            service=kind.service,
            name=kind.name,
            address=address,
            port=configuration.integer(kind.option),
            option=kind.option,
            implicit_tls=kind.implicit_tls,
            handshake_timeout=configuration.integer("service.handshaketimeout"),
            maximum_sessions=configuration.integer(f"service.{kind.group}.maxsessions"),
            busy_reply=kind.busy_reply,
            group=kind.group,
            proxies=_proxies(kind.group, configuration),
        )
        for kind in KINDS
        if _is_enabled(kind, configuration)
        for address in addresses
    ]


def check_distinct(ports: Sequence[PortSettings]) -> None:
    """Raise `ConfigurationError` if two services want the same port, naming both options, or if
    nobody could connect to a port."""
    options: dict[tuple[str, int], str] = {}
    for port in ports:
        if port.proxies == "":
            raise ConfigurationError(
                f"service.{port.group}.proxyprotocol is yes, but no load balancer is trusted",
                remedy="name the addresses of your load balancers: "
                "configutil -o service.proxynetworks -v ADDRESS,ADDRESS",
            )
        other = options.setdefault((port.address, port.port), port.option)
        if other != port.option:
            raise ConfigurationError(
                f"{other} and {port.option} are both {port.port}",
                remedy="give each service a port of its own",
            )


def own_places(ports: Iterable[ServicePort]) -> dict[int, frozenset[str]]:
    """Where we listen: addresses by port number, an empty one for every address of the machine."""
    found: dict[int, set[str]] = {}
    for port in ports:
        address = port.settings.address
        found.setdefault(port.bound_port, set()).add("" if address in _WILDCARDS else address)
    return {number: frozenset(addresses) for number, addresses in found.items()}


def offers_starttls(configuration: Configuration, service: str) -> bool:
    """Whether the clear ports of `service` offer an upgrade to TLS."""
    return service not in _TLS_SWITCH or configuration.boolean(f"service.{service}.sslusessl")


def _proxies(group: str, configuration: Configuration) -> str | None:
    if not configuration.boolean(f"service.{group}.proxyprotocol"):
        return None
    return configuration.string("service.proxynetworks")


def _is_enabled(kind: _Kind, configuration: Configuration) -> bool:
    if not configuration.boolean(f"service.{kind.group}.enable"):
        return False
    if kind.implicit_tls:
        return configuration.boolean(f"service.{kind.group}.enablesslport") and offers_starttls(
            configuration, kind.group
        )
    # Port 0 of clear HTTP means: none.
    return configuration.integer(kind.option) != 0
