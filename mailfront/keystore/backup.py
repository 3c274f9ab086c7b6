"""A backup of the certificate database: one encrypted file, restorable on another machine.

The file is a line that tells what it is, a header with version and the parameters of the key
derivation, and one AES-256-GCM ciphertext (NIST SP 800-38D) that covers both. Its key is derived
with scrypt (RFC 7914) from a password of the backup's own. Inside is JSON: every certificate with
chain, trust and private key, keys that wait for their certificate, links, and revocation lists. A
database that is restored into has its own data key: rows are sealed anew; and it keeps a revocation
list that is newer than the backup's. Takes tokens and passwords, gives bytes,
and the other way round; raises `KeystoreError`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailfront.errors import KeystoreError, WrongPasswordError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import formats, passwords, sealing
from mailfront.keystore.change import Change
from mailfront.keystore.directory_lock import locked_directory
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.linked_files import Link
from mailfront.keystore.nicknames import INTERNAL_TOKEN, check_nickname
from mailfront.keystore.records import NewEntry
from mailfront.keystore.revocation_installing import put_unless_older
from mailfront.keystore.trust import TrustFlags, parse_trust

MAXIMUM_FILE = 256 * 1024 * 1024
_MAGIC = b"mailfront certificate backup\n"
_VERSION = 1
_HEADER = struct.Struct(">HQII16s12s")  # version, scrypt n, r, p, salt, nonce


@dataclass(frozen=True)
class Backup:
    """What a backup holds: certificates, keys that wait for theirs, links, and revocation lists
    (DER) with the certificates of their CAs."""

    entries: tuple[NewEntry, ...]
    pending: tuple[tuple[str, PrivateKeyTypes], ...]
    links: tuple[Link, ...]
    lists: tuple[tuple[x509.Certificate, bytes], ...] = ()


def read_token(token: InternalToken) -> Backup:
    """Return all that a token holds, of one moment.

    Raises `KeystoreError` if any row was altered: a backup would pass for complete without it.
    """
    with token.change() as step:
        entries = tuple(
            NewEntry(
                record.nickname,
                (record.certificate, *record.chain),
                step.private_key(record.nickname) if record.has_key else None,
                record.trust,
                record.key_on_other_token,
            )
            for record in token.list()
        )
        pending = tuple(
            (key.nickname, token.private_key(key.nickname)) for key in token.inventory().pending
        )
        table = step.revocation_lists
        lists = (table.read(stored.issuer) for stored in table.stored())
        present = tuple(found for found in lists if found is not None)
        return Backup(entries, pending, tuple(token.links()), present)


def write_backup(
    backup: Backup, password: Secret, cost: sealing.DerivationCost = sealing.TODAYS_COST
) -> bytes:
    """Return the backup as a file that `password` opens."""
    salt, nonce = os.urandom(sealing.SALT_LENGTH), os.urandom(sealing.NONCE_LENGTH)
    header = _MAGIC + _HEADER.pack(_VERSION, cost.n, cost.r, cost.p, salt, nonce)
    key = sealing.derive(password, salt, cost)
    return header + AESGCM(key).encrypt(nonce, _to_json(backup), header)


def read_backup(content: bytes, password: Secret) -> Backup:
    """Return what is in a file that `write_backup` made.

    Raises `WrongPasswordError` for a wrong password or an altered file, which cannot be told apart.
    """
    length = len(_MAGIC) + _HEADER.size
    header, ciphertext = content[:length], content[length:]
    if len(header) < length or not header.startswith(_MAGIC):
        raise KeystoreError("this is not a backup of a certificate database")
    version, n, r, p, salt, nonce = _HEADER.unpack(header[len(_MAGIC) :])
    if version != _VERSION:
        raise KeystoreError(
            f"the backup has format {version}, this program knows {_VERSION}",
            remedy="use the newer mailfront that wrote it",
        )
    cost = sealing.DerivationCost(n, r, p)
    if not cost.is_acceptable():
        raise KeystoreError("the backup is damaged: its key derivation is out of bounds")
    try:
        plaintext = AESGCM(sealing.derive(password, salt, cost)).decrypt(nonce, ciphertext, header)
    except (InvalidTag, ValueError) as error:
        raise WrongPasswordError(
            "the password does not open the backup, or the file was altered",
            remedy="give the one that was chosen when it was made",
        ) from error
    return _from_json(plaintext)


def restore_into(token: InternalToken, backup: Backup) -> None:
    """Put `backup` in place of everything that the token holds, in one transaction."""
    with token.change() as step:
        for nickname in (*step.nicknames(), *token.inventory().missing):
            step.unlink(nickname)
            step.remove(nickname)
        _fill(step, backup)


def restore_anew(
    database: Path, sslpassword_conf: Path, password: Secret | None, backup: Backup
) -> None:
    """Make the database with what is in `backup`, and its line in `sslpassword.conf`.

    Without `password`, the one that is in `sslpassword.conf` already is taken, else a random one.
    The complete database appears last. Raises `KeystoreError` if there is one already.
    """
    with locked_directory(database.parent):
        if database.exists():
            raise KeystoreError(
                "there is a certificate database already",
                remedy="add --force to put the backup in place of all that is in it",
                file=database,
            )
        chosen = password or _noted_password(sslpassword_conf) or passwords.random_password()
        passwords.write_password(sslpassword_conf, INTERNAL_TOKEN, chosen)
        InternalToken.create(database, chosen, further=lambda step: _fill(step, backup)).close()


def _noted_password(sslpassword_conf: Path) -> Secret | None:
    if not sslpassword_conf.exists():
        return None
    return passwords.find_password(sslpassword_conf, INTERNAL_TOKEN)


def _fill(step: Change, backup: Backup) -> None:
    for entry in backup.entries:
        step.add(entry)
    for nickname, private_key in backup.pending:
        step.add_pending_key(nickname, private_key)
    for link in backup.links:
        step.link(link)
    for authority, content in backup.lists:
        put_unless_older(step.revocation_lists, authority, content)


def _to_json(backup: Backup) -> bytes:
    return json.dumps(
        {
            "entries": [
                {
                    "nickname": entry.nickname,
                    "trust": entry.trust.letters,
                    "chain": [_text(formats.certificate_der(one)) for one in entry.chain],
                    "key": _key_text(entry.private_key),
                }
                for entry in backup.entries
            ],
            "pending": [
                {"nickname": nickname, "key": _key_text(key)} for nickname, key in backup.pending
            ],
            "links": [
                {
                    "nickname": link.nickname,
                    "certificate": os.fsdecode(link.certificate_file),
                    "key": None if link.key_file is None else os.fsdecode(link.key_file),
                    "chain": None if link.chain_file is None else os.fsdecode(link.chain_file),
                }
                for link in backup.links
            ],
            "lists": [
                {"authority": _text(formats.certificate_der(authority)), "list": _text(content)}
                for authority, content in backup.lists
            ],
        }
    ).encode()


def _from_json(plaintext: bytes) -> Backup:
    # What the seal covers was written by us or by a later version of us.
    try:
        parts = json.loads(plaintext)
        entries = tuple(
            NewEntry(
                _nickname(one),
                tuple(formats.load_certificate(_octets(der)) for der in one["chain"]),
                None if one["key"] is None else formats.load_private_key(_octets(one["key"])),
                parse_trust(one["trust"]),
                one["key"] is None and TrustFlags.USER in parse_trust(one["trust"]),
            )
            for one in parts["entries"]
        )
        pending = tuple(
            (_nickname(one), formats.load_private_key(_octets(one["key"])))
            for one in parts["pending"]
        )
        links = tuple(
            Link(
                _nickname(one),
                Path(one["certificate"]),
                None if one["key"] is None else Path(one["key"]),
                None if one["chain"] is None else Path(one["chain"]),
            )
            for one in parts["links"]
        )
        # Older backups have none.
        lists = tuple(
            (formats.load_certificate(_octets(one["authority"])), _octets(one["list"]))
            for one in parts.get("lists", ())
        )
    except (ValueError, TypeError, KeyError) as error:
        raise KeystoreError("the backup opens, but what is in it cannot be read") from error
    return Backup(entries, pending, links, lists)


def _nickname(part: dict[str, str]) -> str:
    check_nickname(part["nickname"])
    return part["nickname"]


def _key_text(key: PrivateKeyTypes | None) -> str | None:
    return None if key is None else _text(formats.private_key_der(key))


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _octets(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
