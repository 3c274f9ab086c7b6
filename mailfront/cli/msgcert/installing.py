"""`add-cert`: an authority's answer to a request, or with -C an authority's own certificate."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.msgcert.token_access import KeyPlace, find_on_tokens
from mailfront.cli.msgcert.trusting import (
    add_trust_argument,
    require_authority,
    trust_text,
)
from mailfront.cli.output import print_message
from mailfront.errors import KeystoreError
from mailfront.keystore.certificate_files import read_certificates
from mailfront.keystore.chain import Chain, build_chain, find_leaf
from mailfront.keystore.expiry import validity_fault
from mailfront.keystore.formats import certificate_public_key_der, name_text
from mailfront.keystore.importing import known_issuers
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.key_strength import require_strength, weakness
from mailfront.keystore.nicknames import check_nickname
from mailfront.keystore.records import CertificateRecord, NewEntry, PendingKey
from mailfront.keystore.trust import TrustFlags


@dataclass(frozen=True, slots=True)
class Answer:
    """A certificate out of an authority's files, and what in the database has its key."""

    certificate: x509.Certificate
    holders: Sequence[CertificateRecord | PendingKey]

    @property
    def pending(self) -> PendingKey | None:
        """The key that waits for this certificate, if one does."""
        found = (holder for holder in self.holders if isinstance(holder, PendingKey))
        return next(found, None)

    @property
    def installed(self) -> CertificateRecord | None:
        """A certificate of the same key that is installed already, with that key."""
        records = (one for one in self.holders if isinstance(one, CertificateRecord))
        owned = (one for one in records if one.has_key or one.key_on_other_token)
        return next(owned, None)


def _add(arguments: argparse.Namespace) -> int:
    check_nickname(arguments.alias)
    certificates = read_certificates(Path(arguments.file))
    if arguments.ca:
        return _add_authority(arguments, certificates)
    with open_token(arguments) as token:
        answer = find_answer(token, certificates)
        certificate = answer.certificate
        if not answer.holders and (place := _key_place(arguments, certificates)) is not None:
            return _add_for_token_key(arguments, token, certificates, place)
        pending = _pending_key(token, arguments.alias, answer)
        if not arguments.allow_weak:
            require_strength(certificate.public_key())
        chain = build_chain(certificate, certificates, known_issuers(token))
        with token.change() as step:
            if pending.nickname != arguments.alias:
                step.rename(pending.nickname, arguments.alias)
            record = step.replace(arguments.alias, chain.presented)
    tell_about(record, chain, "installed")
    if pending.nickname != arguments.alias:
        print_message(f"note: its key waited as {pending.nickname}")
    return 0


def _key_place(
    arguments: argparse.Namespace, certificates: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, KeyPlace] | None:
    """Return the certificate whose key is on a PKCS#11 token, and where, if there is one."""
    root = server_root(arguments)
    for certificate in certificates:
        place = find_on_tokens(root, certificate_public_key_der(certificate))
        if place is not None:
            return certificate, place
    return None


def _add_for_token_key(
    arguments: argparse.Namespace,
    token: InternalToken,
    certificates: Sequence[x509.Certificate],
    found: tuple[x509.Certificate, KeyPlace],
) -> int:
    """Store a certificate in the database whose key stays on a PKCS#11 token."""
    certificate, place = found
    if not arguments.allow_weak:
        require_strength(certificate.public_key())
    chain = build_chain(certificate, certificates, known_issuers(token))
    entry = NewEntry(
        arguments.alias, chain.presented, None, TrustFlags.USER, key_on_other_token=True
    )
    with token.change() as step:
        record = step.add(entry)
    tell_about(record, chain, "installed")
    print_message(
        f"note: its key is on the token {place.token!r}, as {place.key.nickname}, and stays there"
    )
    return 0


def find_answer(token: InternalToken, certificates: Sequence[x509.Certificate]) -> Answer:
    """Return the certificate among those given whose key is in the database.

    One whose key waits comes first; without any, the one at the end of the chain is returned.
    """
    answers = [Answer(one, _holders(token, one)) for one in certificates]
    for answer in answers:
        if answer.pending is not None:
            return answer
    for answer in answers:
        if answer.installed is not None:
            return answer
    return Answer(find_leaf(certificates), ())


def _holders(
    token: InternalToken, certificate: x509.Certificate
) -> Sequence[CertificateRecord | PendingKey]:
    return token.find_by_public_key(certificate_public_key_der(certificate))


def _pending_key(token: InternalToken, alias: str, answer: Answer) -> PendingKey:
    """Return the key that waits for the answer, which `alias` may then name."""
    name = name_text(answer.certificate.subject)
    pending, installed = answer.pending, answer.installed
    if pending is None and installed is not None:
        if installed.certificate == answer.certificate:
            raise KeystoreError(f"this certificate is installed already, as {installed.nickname!r}")
        raise KeystoreError(
            f"the certificate of {name} is for the key of {installed.nickname!r}, which has a "
            "certificate",
            remedy=f"renew that one: `msgcert renew-cert {installed.nickname} FILE`",
        )
    if pending is None:
        raise KeystoreError(
            f"the private key of the certificate of {name} is neither in the database nor on a "
            "token",
            remedy="a key made elsewhere comes with `msgcert import-cert`; a CA's certificate is "
            "added with -C",
        )
    present = token.find_entry(alias)
    if isinstance(present, CertificateRecord):
        raise KeystoreError(
            f"there is a certificate with the nickname {alias!r} already",
            remedy=f"name another, such as {pending.nickname}, under which its key waits; or put "
            f"it in place of that one with `msgcert renew-cert {alias} FILE`",
        )
    if present is not None and present.nickname != pending.nickname:
        raise KeystoreError(
            f"{alias!r} is another key that waits for its certificate",
            remedy=f"the key of this certificate waits as {pending.nickname}",
        )
    return pending


def _add_authority(arguments: argparse.Namespace, certificates: Sequence[x509.Certificate]) -> int:
    file = Path(arguments.file)
    if len(certificates) > 1:
        raise KeystoreError(
            f"there are {len(certificates)} certificates in it",
            remedy="give each CA a file and a nickname of its own",
            file=file,
        )
    (certificate,) = certificates
    require_authority(certificate, file=file)
    if not arguments.allow_weak:
        require_strength(certificate.public_key())
    with open_token(arguments) as token:
        for holder in _holders(token, certificate):
            if isinstance(holder, CertificateRecord) and holder.certificate == certificate:
                raise KeystoreError(
                    f"this certificate is there already, as {holder.nickname!r}",
                    remedy=f"`msgcert set-trust {holder.nickname} --trust …` changes what it is "
                    "trusted for",
                )
        with token.change() as step:
            record = step.add(NewEntry(arguments.alias, (certificate,), None, arguments.trust))
    print_message(f"added the CA {record.nickname}, trusted for {trust_text(record.trust)}")
    print_message(f"SHA-256 fingerprint: {record.sha256}")
    _warn(record)
    return 0


def _warn(record: CertificateRecord) -> None:
    for fault in (
        validity_fault(record.certificate, datetime.now(UTC)),
        weakness(record.certificate.public_key()),
    ):
        if fault:
            print_message(f"WARNING: {record.nickname}: {fault}")


def tell_about(record: CertificateRecord, chain: Chain, done: str) -> None:
    """Say what was done with a certificate, and what clients will have against it."""
    nickname, certificate = record.qualified_nickname, record.certificate
    expires = certificate.not_valid_after_utc.astimezone().date()
    issuers = len(record.chain)
    print_message(
        f"{done} {nickname} ({record.key_description}), issued by {name_text(certificate.issuer)}, "
        f"with {issuers} intermediate certificate{'' if issuers == 1 else 's'}; it expires on "
        f"{expires.isoformat()}"
    )
    print_message(f"SHA-256 fingerprint: {record.sha256}")
    _warn(record)
    if chain.missing_issuer:
        print_message(
            f"WARNING: {nickname}: the certificate of its issuer {chain.missing_issuer} is neither "
            "in the file nor in the database; clients that do not have it will refuse the server. "
            "Add it with `msgcert add-cert -C` and install the certificate with renew-cert, or "
            "give renew-cert a file with the whole chain"
        )
    for unused in chain.unused:
        print_message(f"note: {name_text(unused.subject)} is no part of its chain; left out")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname of the certificate")
    parser.add_argument("file", metavar="CERT_FILE", help="PEM, DER, a PEM chain, or PKCS#7")
    parser.add_argument(
        "-C", "--ca", action="store_true", help="add the certificate of a trusted CA"
    )
    add_trust_argument(parser, "with -C: what the CA is trusted for", default=None)
    parser.add_argument(
        "--allow-weak", action="store_true", help="take a key that is too weak for today"
    )


def _check_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.trust is None:
        arguments.trust = TrustFlags.SERVERS
    elif not arguments.ca:
        parser.error("--trust goes with -C")
    if arguments.ca and not arguments.trust.is_authority:
        parser.error("a CA is added to be trusted: give --trust server, client, or both")


ADD = Subcommand(
    name="add-cert",
    summary="install a certificate that an authority issued, or with -C a trusted CA",
    description="""\
Installs the certificate that a certification authority made of a request. The key
is found by itself, whatever nickname it waits under; intermediate certificates in
the file, in any order, are stored and served with it. A certificate whose key is
not in the database is refused; import-cert takes it together with its key. If
the key is on a PKCS#11 token, it stays there and serves the certificate; with
--token the certificate is put on the token too.

With -C the file holds the certificate of a CA that is to be trusted: for servers
(when mailfront connects to one) or for clients (whose certificates it issued).""",
    examples="""\
  msgcert add-cert imap-cert answer.pem
  msgcert add-cert imap-cert answer.p7b
  msgcert add-cert "HSM One:imap-ec" answer.pem
  msgcert add-cert -C "Example CA" ca.pem
  msgcert add-cert -C "Staff CA" staff.pem --trust client""",
    add_arguments=_add_arguments,
    run=_add,
    check_usage=_check_usage,
)
