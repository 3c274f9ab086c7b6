"""Who is at the other end of a connection, and what TLS was agreed with them."""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.interfaces.client_certificate import ClientCertificate


@dataclass(frozen=True, slots=True)
class Peer:
    """Addresses of one connection: the client's, and ours that it reached."""

    address: str
    port: int
    local_address: str
    local_port: int

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What a finished handshake agreed on: one record for the log and the Received header.

    `client_certificate` is None where none was asked for or presented.
    """

    version: str
    suite: str
    bits: int
    resumed: bool
    nickname: str
    server_name: str | None = None
    alpn: str | None = None
    group: str | None = None
    client_certificate: ClientCertificate | None = None
