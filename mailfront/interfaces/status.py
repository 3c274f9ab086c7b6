"""What the running server tells of itself: `mailfront status` and the `/status` page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class PortStatus:
    """One listening port. `tls` is `implicit`, `starttls` or `none`. `fingerprint` is of the
    certificate served, `keystore_fingerprint` of the one that options and keystore ask for, both
    divided by commas where there are several; `problem` is empty or says why they differ.
    `policy` is the dated name of the TLS policy in force, `client_certificates` what clients are
    asked for: `request` or `require`, and the CAs' names; empty where nobody is asked."""

    service: str
    name: str
    address: str
    port: int
    tls: str
    nickname: str
    fingerprint: str
    expires: datetime | None
    connections: int
    problem: str = ""
    keystore_fingerprint: str = ""
    policy: str = ""
    client_certificates: str = ""

    @property
    def is_outdated(self) -> bool:
        """Whether another certificate is served than the keystore has."""
        return bool(self.keystore_fingerprint) and self.keystore_fingerprint != self.fingerprint


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One certificate that services present. `days_left` is negative once it has expired.

    `keystore_fingerprint` is that of a certificate that was refused in its place.
    `stapled_until` is the end of the OCSP response stapled to it, None without one;
    `staple_problem` says what is wrong with that."""

    nickname: str
    services: tuple[str, ...]
    fingerprint: str
    expires: datetime
    days_left: int
    self_signed: bool
    stapled_until: datetime | None = None
    staple_problem: str = ""
    keystore_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class ServerNamesStatus:
    """What clients are shown by the name they ask for (SNI), beside the services' own: how many
    certificates for how many names; of them so many `expiring` within 30 days, `expired`, and
    `refused` as their successors. `next_expiry` is the earliest."""

    certificates: int
    names: int
    expiring: int
    expired: int
    refused: int
    next_expiry: datetime


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The queue of mail to other servers, some seconds ago: how many messages, how many recipients
    wait or are held, and which destinations could not be reached at the last attempt."""

    messages: int
    waiting: int
    held: int
    unreachable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The whole server at one moment. `problems` are to be mended; `warnings` tell what was asked
    for and is dangerous or has no effect."""

    version: str
    pid: int
    started: datetime
    event_loop: str
    ports: tuple[PortStatus, ...]
    problems: tuple[str, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    certificates: tuple[CertificateStatus, ...] = ()
    warnings: tuple[str, ...] = ()
    server_names: ServerNamesStatus | None = None
    queue: QueueStatus | None = None

    def as_json(self) -> dict[str, object]:
        """Plain values; times in ISO 8601, UTC."""
        record = asdict(self)
        record["started"] = self.started.isoformat()
        for port in record["ports"]:
            port["expires"] = port["expires"].isoformat() if port["expires"] else None
        if self.server_names is not None:
            record["server_names"]["next_expiry"] = self.server_names.next_expiry.isoformat()
        for certificate in record["certificates"]:
            certificate["expires"] = certificate["expires"].isoformat()
            until = certificate["stapled_until"]
            certificate["stapled_until"] = until.isoformat() if until else None
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ServerStatus:
        """The status that `as_json` made `record` of. Raises `KeyError`, `TypeError` or
        `ValueError` for anything else."""
        ports = tuple(
            PortStatus(**{**port, "expires": _time(port["expires"]) if port["expires"] else None})
            for port in record["ports"]
        )
        started = _time(record["started"])
        certificates = tuple(
            CertificateStatus(
                **{
                    **certificate,
                    "services": tuple(certificate["services"]),
                    "expires": _time(certificate["expires"]),
                    "stapled_until": _optional_time(certificate.get("stapled_until")),
                }
            )
            for certificate in record["certificates"]
        )
        names, queue = record.get("server_names"), record.get("queue")
        return cls(
            **{
                **record,
                "server_names": names and _server_names(names),
                "queue": queue
                and QueueStatus(**{**queue, "unreachable": tuple(queue["unreachable"])}),
                "ports": ports,
                "started": started,
                "problems": tuple(record["problems"]),
                "warnings": tuple(record["warnings"]),
                "certificates": certificates,
            }
        )


def _server_names(record: Mapping[str, Any]) -> ServerNamesStatus:
    return ServerNamesStatus(**{**record, "next_expiry": _time(record["next_expiry"])})


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _optional_time(text: str | None) -> datetime | None:
    return _time(text) if text else None


class StatusSource(Protocol):
    """Something that can report the server's status."""

    def status(self) -> ServerStatus:
        """The status now."""
        ...
