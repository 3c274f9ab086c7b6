"""The server root: the directory of one instance, and where everything in it lies.

Takes `--home` or the variable MAILFRONT_HOME, gives paths. Nothing is created here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mailfront.errors import ConfigurationError

HOME_VARIABLE = "MAILFRONT_HOME"


@dataclass(frozen=True, slots=True)
class ServerRoot:
    """The directory of one instance."""

    path: Path

    @classmethod
    def from_environment(cls, home: str | None) -> ServerRoot:
        """Return the server root that `home` (`--home`) or else MAILFRONT_HOME names.

        Raises `ConfigurationError` if neither does.
        """
        named = home or os.environ.get(HOME_VARIABLE, "")
        if not named:
            raise ConfigurationError(
                "no server root is named",
                remedy=f"give --home DIR, or set {HOME_VARIABLE} to the directory",
            )
        return cls(Path(named).expanduser().absolute())

    @property
    def config_directory(self) -> Path:
        """Where the files are that people edit."""
        return self.path / "config"

    @property
    def msg_conf(self) -> Path:
        """The options."""
        return self.config_directory / "msg.conf"

    @property
    def sslpassword_conf(self) -> Path:
        """The passwords of the tokens."""
        return self.config_directory / "sslpassword.conf"

    @property
    def certmap_conf(self) -> Path:
        """How a client certificate becomes a directory entry."""
        return self.config_directory / "certmap.conf"

    @property
    def imta_cnf(self) -> Path:
        """Rewrite rules and channels."""
        return self.config_directory / "imta.cnf"

    @property
    def upstream_map(self) -> Path:
        """Which server holds the mailbox of an address or domain."""
        return self.config_directory / "upstream_map"

    @property
    def users_ldif(self) -> Path:
        """The embedded directory."""
        return self.config_directory / "users.ldif"

    @property
    def scram_secret(self) -> Path:
        """What unknown users' SCRAM verifiers are derived from."""
        return self.config_directory / "scram.secret"

    @property
    def certdb_directory(self) -> Path:
        """Where the certificate database is."""
        return self.path / "certdb"

    @property
    def certificate_database(self) -> Path:
        """The internal token: certificates, wrapped keys, trust flags."""
        return self.certdb_directory / "keystore.sqlite"

    @property
    def ocsp_directory(self) -> Path:
        """The responses of OCSP responders that are stapled."""
        return self.certdb_directory / "ocsp"

    @property
    def mta_sts_directory(self) -> Path:
        """The MTA-STS policies of other domains."""
        return self.queue_directory / "mta-sts"

    @property
    def tls_report_database(self) -> Path:
        """How TLS with other servers went, until it has been reported."""
        return self.queue_directory / "tls-reports.sqlite"

    @property
    def store_directory(self) -> Path:
        """The mailboxes."""
        return self.path / "store"

    @property
    def queue_directory(self) -> Path:
        """Mail that waits to be delivered to other servers."""
        return self.path / "queue"

    @property
    def log_directory(self) -> Path:
        """Where log files go, if any."""
        return self.path / "log"

    @property
    def run_directory(self) -> Path:
        """What exists only while the server runs."""
        return self.path / "run"

    @property
    def control_socket(self) -> Path:
        """The local socket by which commands speak to the running server."""
        return self.run_directory / "control.sock"

    @property
    def lock_file(self) -> Path:
        """Held by the running server, so that there is only one."""
        return self.run_directory / "mailfront.lock"

    @property
    def initial_passwords(self) -> Path:
        """The passwords of the users that the quickstart made."""
        return self.path / "initial-passwords.txt"

    def is_initialised(self) -> bool:
        """Return whether `mailfront init` has been here."""
        return self.msg_conf.is_file()

    def require_initialised(self) -> None:
        """Raise `ConfigurationError` unless `mailfront init` has been here."""
        if not self.is_initialised():
            raise ConfigurationError(
                f"{self.path} is not a server root (it has no config/msg.conf)",
                remedy=f"make one with `mailfront init --home {self.path}`, or name another",
            )
