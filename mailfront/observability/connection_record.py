"""One structured line per connection, written when it ends (never while it lives)."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from functools import lru_cache

from cryptography import x509

from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.peer import Peer, TlsFacts

_log = logging.getLogger("mailfront.connection")


class ConnectionRecord:
    """Facts about one connection, gathered as they become known.

    `reason` says why the connection ended; the first one given stays, because the first party to
    end it knows the cause and everybody after it sees only consequences. `session_id` names the
    session in our log and in those of servers before and behind; `forwarded_for` is the client of
    whom a front end before us told.
    """

    __slots__ = (
        "bytes_in", "bytes_out", "forwarded_for", "method", "peer", "reason",
        "refused_certificate", "service", "session_id", "started", "tls", "user",
    )  # fmt: skip

    def __init__(self, service: str, peer: Peer) -> None:
        self.service = service
        self.peer = peer
        self.started = time.monotonic()
        self.tls: TlsFacts | None = None
        self.refused_certificate: ClientCertificate | None = None
        self.user = ""
        self.method = ""
        self.session_id = ""
        self.forwarded_for = ""
        self.bytes_in = 0
        self.bytes_out = 0
        self.reason = ""

    def end(self, reason: str) -> None:
        """Note why the connection ends, unless that is already known."""
        if not self.reason:
            self.reason = reason

    def write(self) -> None:
        """Write the line."""
        if _log.isEnabledFor(logging.INFO):
            # Made here: a logger would look for its caller first, which costs as much as the rest.
            _log.handle(logging.LogRecord(_log.name, logging.INFO, "", 0, self.line(), None, None))

    def line(self) -> str:
        """The line as `name=value` pairs; values with blanks or quotes are quoted."""
        tls = self.tls
        if tls is None:
            agreed = "tls=none"
        else:
            agreed = (
                f"tls={tls.version} suite={tls.suite} group={tls.group or '-'} "
                f"resumed={'yes' if tls.resumed else 'no'} nickname={quoted(tls.nickname)} "
                f"sni={quoted(tls.server_name or '-')}"
            )
        presented = self.refused_certificate if tls is None else tls.client_certificate
        if presented is not None:
            agreed += _certificate_fields(presented)
        if self.forwarded_for:
            agreed += f" client={self.forwarded_for}"
        if self.session_id:
            agreed += f" session={quoted(self.session_id)}"
        return (
            f"service={self.service} peer={self.peer} {agreed} user={quoted(self.user or '-')} "
            f"auth={self.method or '-'} in={self.bytes_in} out={self.bytes_out} "
            f"seconds={time.monotonic() - self.started:.3f} end={quoted(self.reason or 'closed')}"
        )


def _certificate_fields(presented: ClientCertificate) -> str:
    """Whose certificate the client presented, its SHA-256 fingerprint, and what is wrong with it;
    only a connection that ends pays for reading the name."""
    if presented.verified:
        return _name_fields_of_known(presented.leaf)
    # What strangers present is of any size, and not kept.
    fields = _name_fields(presented.leaf)
    fault = f"{presented.fault.value} ({presented.detail})"
    return f"{fields} certfault={quoted(fault if presented.detail else presented.fault.value)}"


def _name_fields(leaf: bytes) -> str:
    try:
        subject = x509.load_der_x509_certificate(leaf).subject.rfc4514_string()
    except ValueError:
        subject = "?"
    fingerprint = hashlib.sha256(leaf).hexdigest()
    return f" cert={quoted(subject[:_LONGEST_SUBJECT])} certsha256={fingerprint}"


_name_fields_of_known = lru_cache(maxsize=1024)(_name_fields)
_LONGEST_SUBJECT = 255
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
_SPECIAL = re.compile(r'["\\]')


def quoted(value: str) -> str:
    """`value` fit for one line: control characters and quotes escaped, blanks quoted."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = _SPECIAL.sub(r"\\\g<0>", value)
    printable = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in escaped
    )
    return f'"{printable}"'
