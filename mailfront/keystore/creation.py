"""Making what a new server root needs: the certificate database, its password line, Server-Cert.

Takes the paths of both files and the names of the host, returns the opened token. Both `mailfront
init` and `msgcert generate-certDB` call it. Raises `KeystoreError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import passwords, requests, schema
from mailfront.keystore.directory_lock import locked_directory
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import DEFAULT_NICKNAME, INTERNAL_TOKEN, check_nickname
from mailfront.keystore.records import CertificateRecord, NewEntry
from mailfront.keystore.requests import KeyKind
from mailfront.keystore.trust import TrustFlags

DEFAULT_LIFETIME = timedelta(days=90)


def create_certificate_database(
    database: Path,
    sslpassword_conf: Path,
    password: Secret | None,
    hostname: str,
    domain: str | None,
    *,
    authorities: Sequence[NewEntry] = (),
    over_empty: bool = False,
) -> InternalToken:
    """Make the database with a self-signed `Server-Cert`, and its line in `sslpassword.conf`.

    It also gets the `authorities`, which are CAs (see `public_authorities`).

    Without `password`, the one that the operator put into `sslpassword.conf` is taken, else a
    random one; the well-known default counts as none. The line is written first and the complete
    database appears last: after a crash between them the command is simply given again. Raises
    `KeystoreError` if the database exists; then nothing was changed.
    """
    # A second creator's password line would replace the first one's.
    with locked_directory(database.parent):
        require_replaceable(database, over_empty=over_empty)
        chosen = password or _password_at_hand(sslpassword_conf) or passwords.random_password()
        server_certificate = _default_certificate(hostname, domain)
        passwords.write_password(sslpassword_conf, INTERNAL_TOKEN, chosen)
        schema.remove_file(database)
        return InternalToken.create(database, chosen, entries=(server_certificate, *authorities))


def require_replaceable(database: Path, *, over_empty: bool) -> None:
    """Raise `KeystoreError` if there is a database; with `over_empty`, only if it has entries."""
    if not database.exists() or (over_empty and schema.has_no_entries(database)):
        return
    raise KeystoreError(
        "there is a certificate database already" + (" and it is not empty" if over_empty else ""),
        remedy="keep it, or move its directory away first",
        file=database,
    )


def add_self_signed(
    token: InternalToken,
    nickname: str,
    subject: x509.Name,
    names: Sequence[x509.GeneralName] | None = None,
    *,
    key_kind: KeyKind | None = None,
    months: int = requests.DEFAULT_MONTHS,
    now: datetime | None = None,
) -> CertificateRecord:
    """Make a key pair and a self-signed certificate and store both under `nickname`.

    Without `names` the common name is the alternative name; without `key_kind` the key is EC
    P-256. Raises `KeystoreError` if the nickname is taken or malformed.
    """
    now = datetime.now(UTC) if now is None else now
    expires = requests.months_later(now, months)
    check_nickname(nickname)
    key = (key_kind or KeyKind()).generate()
    certificate = requests.self_signed_certificate(
        key,
        subject,
        requests.default_alternative_names(subject) if names is None else names,
        now=now,
        expires=expires,
    )
    return token.add_key_and_certificate(nickname, key, (certificate,))


def default_names(hostname: str, domain: str | None) -> tuple[x509.GeneralName, ...]:
    """Return the alternative names of a server: its host name, its domain, localhost."""
    names = [*_host_alternative_name(hostname)]
    if domain:
        names.append(requests.parse_alternative_name(domain))
    names.append(x509.DNSName("localhost"))
    return tuple(dict.fromkeys(names))


def _host_alternative_name(hostname: str) -> Iterator[x509.GeneralName]:
    # A machine may bear a name that no certificate can carry; that must not stop an installation.
    try:
        yield requests.parse_alternative_name(hostname)
    except KeystoreError:
        return


def _default_certificate(hostname: str, domain: str | None) -> NewEntry:
    now = datetime.now(UTC)
    key = KeyKind().generate()
    certificate = requests.self_signed_certificate(
        key,
        requests.build_subject(name=requests.name_of_host(hostname) or "localhost", country=""),
        default_names(hostname, domain),
        now=now,
        expires=now + DEFAULT_LIFETIME,
    )
    return NewEntry(DEFAULT_NICKNAME, (certificate,), key, TrustFlags.USER)


def _password_at_hand(sslpassword_conf: Path) -> Secret | None:
    if not sslpassword_conf.exists():
        return None
    password = passwords.find_password(sslpassword_conf, INTERNAL_TOKEN)
    return None if password is None or passwords.warning_about(password) else password
