"""Making a server root: directories, default configuration, certificate database, demo users.

`config/msg.conf` is written last: a directory without it is no server root yet, so an interrupted
creation is simply begun again and goes on where it stopped.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path

from mailfront.authentication.password import hash_password
from mailfront.configuration.default_files import (
    FILE_NAMES,
    default_configuration_directory,
    install_default_configuration,
)
from mailfront.configuration.durable_file import sync_directory, write_durably
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import change_options
from mailfront.directory.embedded import EmbeddedDirectory, add_entry
from mailfront.errors import ConfigurationError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.creation import add_self_signed, create_certificate_database
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.public_authorities import public_authorities
from mailfront.keystore.requests import build_subject, parse_alternative_name
from mailfront.store.mail_store import MailStore

DEMO_USERS = (("alice", "Alice Example"), ("bob", "Bob Example"))
SERVICE_NICKNAMES = {
    "imta": "smtp-cert",
    "imap": "imap-cert",
    "pop": "pop-cert",
    "http": "http-cert",
}
QUICKSTART_OPTIONS = {
    "service.smtp.port": "2525",
    "service.submit.port": "2587",
    "service.submit.sslport": "2465",
    "service.imap.port": "2143",
    "service.imap.sslport": "2993",
    "service.pop.port": "2110",
    "service.pop.sslport": "2995",
    "service.http.sslport": "2443",
    "local.ssl.autorenewselfsigned": "yes",
    "logfile.default.destination": "log/mailfront.log",
}
# Groups of four out of letters that are not mistaken for each other: 79 bits.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_PASSWORD_GROUPS = 4
# What an interrupted creation may have left behind.
_OUR_NAMES = frozenset({"config", "certdb", "store", "log", "run", "initial-passwords.txt"})


def create_server_root(
    root: ServerRoot, domain: str, *, demo: bool, options: Mapping[str, str] | None = None
) -> dict[str, Secret]:
    """Make a server root for `domain`; with `demo` also two users, their welcome messages and a
    certificate per service. Returns the passwords of the demo users by address.

    Raises `ConfigurationError` if there is a server root already, or the directory is not empty.
    """
    _refuse_foreign(root)
    _own_directory(root.path)
    install_default_configuration(root, [name for name in FILE_NAMES if name != "msg.conf"])
    hostname = machine_name()
    token = _database(root, hostname, domain)
    passwords: dict[str, Secret] = {}
    settings = {"service.hostname": hostname, "service.defaultdomain": domain, **(options or {})}
    with token:
        if demo:
            _add_service_certificates(token, hostname, domain)
    if demo:
        passwords = _add_demo_users(root, domain)
        settings["store.admins"] = f"{DEMO_USERS[0][0]}@{domain}"
        settings |= {f"local.{name}.sslnicknames": nick for name, nick in SERVICE_NICKNAMES.items()}
    _write_options(root, settings)
    return passwords


def _write_options(root: ServerRoot, settings: Mapping[str, str]) -> None:
    """Put `msg.conf` in place with everything in it."""
    staged = root.config_directory / ".msg.conf.new"
    write_durably(staged, (default_configuration_directory() / "msg.conf").read_bytes(), mode=0o600)
    change_options(staged, settings)
    staged.replace(root.msg_conf)
    sync_directory(root.config_directory)


def _refuse_foreign(root: ServerRoot) -> None:
    if root.is_initialised():
        raise ConfigurationError(
            f"{root.path} is a server root already",
            remedy=f"start it (mailfront serve --home {root.path}), or name another directory",
        )
    if root.path.exists() and not root.path.is_dir():
        raise ConfigurationError(
            f"{root.path} is not a directory", remedy="name a directory, new or empty"
        )
    foreign = _foreign_names(root.path)
    if foreign:
        raise ConfigurationError(
            f"{root.path} is not empty (it holds {foreign[0]!r}) and is no server root",
            remedy="name a new or an empty directory",
        )


def _foreign_names(directory: Path) -> list[str]:
    if not directory.exists():
        return []
    return sorted(entry.name for entry in directory.iterdir() if entry.name not in _OUR_NAMES)


def _own_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def _database(root: ServerRoot, hostname: str, domain: str) -> InternalToken:
    if root.certificate_database.exists():
        password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
        return InternalToken.open(root.certificate_database, password)
    return create_certificate_database(
        root.certificate_database,
        root.sslpassword_conf,
        None,
        hostname,
        domain,
        authorities=public_authorities(),
    )


def _add_service_certificates(token: InternalToken, hostname: str, domain: str) -> None:
    names = [parse_alternative_name(name) for name in _distinct(hostname, domain, "localhost")]
    names.append(parse_alternative_name("127.0.0.1"))
    present = token.nicknames()
    for nickname in SERVICE_NICKNAMES.values():
        if nickname not in present:
            # The nickname is in the subject so that people see which service they talk to.
            subject = build_subject(name=hostname, org_unit=nickname, country="")
            add_self_signed(token, nickname, subject, names)


def _distinct(*names: str) -> Iterable[str]:
    return dict.fromkeys(name for name in names if name)


def _add_demo_users(root: ServerRoot, domain: str) -> dict[str, Secret]:
    passwords = _demo_passwords(root, domain)
    present = {entry.user for entry in EmbeddedDirectory(root.users_ldif).entries()}
    store = MailStore(root.store_directory)
    try:
        for name, display_name in DEMO_USERS:
            address = f"{name}@{domain}"
            if address not in present:
                store.account(address).deliver([_welcome(address, display_name, domain)])
                add_entry(root.users_ldif, address, hash_password(passwords[address]), display_name)
    finally:
        store.close()
    return passwords


def _demo_passwords(root: ServerRoot, domain: str) -> dict[str, Secret]:
    """Random ones, on disk before they are used; those of an interrupted creation stay."""
    path = root.initial_passwords
    if path.exists():
        pairs = (line.split() for line in path.read_text().splitlines())
        return {address: Secret(password) for address, password in pairs}
    passwords = {f"{name}@{domain}": _random_password() for name, _ in DEMO_USERS}
    lines = [f"{address} {password.reveal()}\n" for address, password in passwords.items()]
    write_durably(path, "".join(lines).encode(), mode=0o600)
    return passwords


def _random_password() -> Secret:
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(_PASSWORD_GROUPS))
    return Secret("-".join(groups))


def _welcome(address: str, display_name: str, domain: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = f"mailfront <postmaster@{domain}>"
    message["To"] = f"{display_name} <{address}>"
    message["Subject"] = "Welcome to mailfront"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=domain)
    message.set_content(
        f"Hello {display_name.partition(' ')[0]},\n\n"
        "this mailbox works: you can read it with any IMAP or POP3 client over TLS, or in a\n"
        "browser, and send to the other users of this server.\n\n"
        "The certificates are self-signed, one per service, so that your client will ask you\n"
        "once whether to trust them.\n"
    )
    return message.as_bytes()
