"""What the SMTP front is told by the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mailfront.front.login_policy import LoginPolicy
from mailfront.front.settings import always
from mailfront.front.smtp.inbound import Arrivals
from mailfront.front.smtp.pop_before_smtp import PopBeforeSmtp

_LOGIN = LoginPolicy()


class Role(Enum):
    """What a port is for; the value names it in counters and logs."""

    MX = "smtp"
    SUBMISSION = "submit"


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Names, limits and times of one port.

    `hostname` stands in greeting, EHLO and Received; `domain` is what a bare `<Postmaster>`
    belongs to (empty: the host name). `tls_available` offers STARTTLS; with implicit TLS the
    connection has TLS from the start and nothing is offered. `tls_ready` tells whether there is a
    certificate for STARTTLS at this moment, for one on a token may be away. `login` says how users
    log in. Times are in seconds, sizes in octets. `spool_directory` holds messages beyond
    `memory_limit` while they come in (None: the system's temporary directory). `honours_dsn` and
    `honours_require_tls` say that what takes the mail here does as RFC 3461 and RFC 8689 demand;
    `sends` that it takes mail of our users to other domains. `arrivals` says on which channel of
    imta.cnf a client of this port is (None: that of the port's role, without any file);
    `pop_before_smtp` who may send without AUTH (None: nobody).
    """

    hostname: str
    domain: str = ""
    size_limit: int = 50 * 1024 * 1024
    tls_available: bool = True
    login: LoginPolicy = _LOGIN
    spool_directory: Path | None = None
    # RFC 5321 section 4.5.3.2.
    command_timeout: float = 300.0
    data_timeout: float = 180.0
    # A sender that drips a message within the time-out of each block still ends.
    message_timeout: float = 3600.0
    bad_command_limit: int = 20
    failed_login_limit: int = 3
    # RFC 5321 section 4.5.3.1.8 asks for at least 100.
    recipient_limit: int = 1000
    # Against guessing of addresses, which are not protocol errors.
    refused_recipient_limit: int = 100
    memory_limit: int = 1024 * 1024
    tls_ready: Callable[[], bool] = always
    honours_dsn: bool = False
    honours_require_tls: bool = False
    sends: bool = False
    arrivals: Arrivals | None = None
    pop_before_smtp: PopBeforeSmtp | None = None
