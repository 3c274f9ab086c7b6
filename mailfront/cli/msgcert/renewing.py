"""`renew-cert` and `renew-selfsign-cert`: another certificate under the same nickname.

The new certificate, its chain and its key take the place of the old in one transaction: a service
that presents them never lacks a certificate.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.importing import identities_in
from mailfront.cli.msgcert.installing import find_answer, tell_about
from mailfront.cli.msgcert.making import tell_about_self_signed
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.msgcert.tlsa_warning import warn_about_tlsa
from mailfront.cli.msgcert.token_access import KeyPlace, find_on_tokens
from mailfront.cli.output import print_message
from mailfront.errors import KeystoreError
from mailfront.keystore import formats, requests
from mailfront.keystore.certificate_files import MAXIMUM_FILE, read_certificates
from mailfront.keystore.chain import build_chain
from mailfront.keystore.importing import known_issuers
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.key_strength import require_strength, weakness
from mailfront.keystore.pkcs12 import is_pkcs12
from mailfront.keystore.records import CertificateRecord, NewEntry
from mailfront.keystore.renewal import renew_self_signed


@dataclass(frozen=True, slots=True)
class _Renewed:
    """A certificate, what came with it, and its key.

    That is a given one, a pending one, one on a PKCS#11 token, or the present.
    """

    certificate: x509.Certificate
    others: Sequence[x509.Certificate]
    private_key: PrivateKeyTypes | None = None
    pending: str | None = None
    place: KeyPlace | None = None


def _renew(arguments: argparse.Namespace) -> int:
    given = _given_with_key(arguments)
    certificates = () if given is not None else read_certificates(Path(arguments.file))
    with open_token(arguments) as token:
        former = token.require(arguments.alias)
        if not former.has_key and not former.key_on_other_token:
            raise KeystoreError(
                f"the certificate {former.nickname!r} has no private key here: it is a CA's",
                remedy="remove it and add the new one with `msgcert add-cert -C`",
            )
        renewed = given or _found(arguments, token, former, certificates)
        chain = build_chain(renewed.certificate, renewed.others, known_issuers(token))
        # The same certificate with a longer chain is what mends an incomplete one.
        if chain.presented == (former.certificate, *former.chain):
            print_message(f"{former.nickname}: the same certificate is there already")
            return 0
        if not arguments.allow_weak:
            require_strength(renewed.certificate.public_key())
        warn_about_tlsa(arguments, former.nickname, former.certificate, renewed.certificate)
        with token.change() as step:
            key = renewed.private_key
            if renewed.pending is not None:
                key = step.private_key(renewed.pending)
                step.remove(renewed.pending)
            if renewed.place is not None:
                record = step.put(
                    NewEntry(
                        former.nickname,
                        chain.presented,
                        None,
                        former.trust,
                        key_on_other_token=True,
                    )
                )
            else:
                record = step.replace(former.nickname, chain.presented, key)
    tell_about(record, chain, "renewed")
    if renewed.place is not None:
        print_message(
            f"note: its new key is on the token {renewed.place.token!r}, as "
            f"{renewed.place.key.nickname}, and stays there"
        )
    if renewed.pending is not None:
        print_message(f"note: its new key is the one that waited as {renewed.pending}")
    for loss in losses(former.certificate, record.certificate):
        print_message(f"WARNING: {record.nickname}: {loss}")
    return 0


def _given_with_key(arguments: argparse.Namespace) -> _Renewed | None:
    """Return the certificate with the key that the operator gives, or None if no key is given."""
    file = Path(arguments.file)
    if arguments.key is None and not _is_pkcs12_file(file):
        return None
    found = identities_in(arguments, file)
    if len(found.identities) != 1:
        raise KeystoreError(
            f"there are {len(found.identities)} keys with certificates in it",
            remedy="give a file with the one that takes the place of the present",
            file=file,
        )
    (identity,) = found.identities
    return _Renewed(identity.certificate, found.others, identity.private_key)


def _is_pkcs12_file(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return is_pkcs12(stream.read(MAXIMUM_FILE))
    except OSError as error:
        raise KeystoreError(f"cannot be read: {error.strerror}", file=file) from error


def _found(
    arguments: argparse.Namespace,
    token: InternalToken,
    former: CertificateRecord,
    certificates: Sequence[x509.Certificate],
) -> _Renewed:
    """Return the certificate that is for the present key, else for one that waits for it."""
    present_key = formats.certificate_public_key_der(former.certificate)
    for certificate in certificates:
        if formats.certificate_public_key_der(certificate) == present_key:
            return _Renewed(certificate, certificates)
    answer = find_answer(token, certificates)
    if answer.pending is not None:
        return _Renewed(answer.certificate, certificates, pending=answer.pending.nickname)
    name = formats.name_text(answer.certificate.subject)
    if answer.installed is not None:
        raise KeystoreError(
            f"the certificate of {name} is for the key of {answer.installed.nickname!r}, not for "
            f"that of {former.nickname!r}",
            remedy=f"renew that one: `msgcert renew-cert {answer.installed.nickname} FILE`",
        )
    root = server_root(arguments)
    for certificate in certificates:
        place = find_on_tokens(root, formats.certificate_public_key_der(certificate))
        if place is not None:
            return _Renewed(certificate, certificates, place=place)
    raise KeystoreError(
        f"the certificate of {name} is neither for the key of {former.nickname!r} nor for one that "
        "waits in the database or on a token",
        remedy="give its key with --key FILE",
    )


def losses(former: x509.Certificate, renewed: x509.Certificate) -> Iterator[str]:
    """Yield what the former certificate had and the renewed one has not."""
    names = formats.alternative_names(renewed)
    if lost := [name for name in formats.alternative_names(former) if name not in names]:
        yield "the former certificate had names that this one has not: " + ", ".join(lost)
    if renewed.not_valid_after_utc < former.not_valid_after_utc:
        day = former.not_valid_after_utc.date().isoformat()
        yield f"the former certificate was valid longer, until {day}"


def _add_renew_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname of the certificate")
    parser.add_argument(
        "file", metavar="CERT_FILE", help="PEM, DER, a PEM chain, PKCS#7; or PKCS#12 with a key"
    )
    parser.add_argument(
        "--key",
        metavar="FILE",
        help="its private key, if it is neither the present one nor pending",
    )
    parser.add_argument(
        "-I",
        "--input-pwd-file",
        metavar="FILE",
        help="file whose first line is the password of the PKCS#12 file or of the key "
        "(default: a prompt)",
    )
    parser.add_argument(
        "--allow-weak", action="store_true", help="take a key that is too weak for today"
    )


RENEW = Subcommand(
    name="renew-cert",
    summary="put a renewed certificate in place of the present one",
    description="""\
Puts the certificate that an authority renewed in place of the one that has the
nickname, at one moment: services that present it follow within two seconds and
never lack a certificate. It may be for the same key; for a new one that waits
since request-cert, which is found by itself; or for one that is given with it.""",
    examples="""\
  msgcert renew-cert imap-cert renewed.pem
  msgcert renew-cert imap-cert fullchain.pem --key privkey.pem
  msgcert renew-cert imap-cert renewed.p12 -I p12-password.txt""",
    add_arguments=_add_renew_arguments,
    run=_renew,
)


def _renew_self_signed(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        former = token.require(arguments.alias)
        record = renew_self_signed(
            token, arguments.alias, new_key=arguments.new_key, months=arguments.validity
        )
    warn_about_tlsa(arguments, record.nickname, former.certificate, record.certificate)
    tell_about_self_signed(record, "renewed")
    if fault := weakness(record.certificate.public_key()):
        print_message(f"WARNING: {record.nickname}: {fault}; renew it with --new-key")
    return 0


def _add_self_signed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname of the certificate")
    parser.add_argument(
        "--new-key", action="store_true", help="with a new key of the same kind (default: the same)"
    )
    parser.add_argument(
        "--validity",
        type=int,
        metavar="MONTHS",
        help=f"calendar months until it expires, up to {requests.MAXIMUM_MONTHS} (default: as long "
        "as the present one is valid)",
    )


RENEW_SELFSIGN = Subcommand(
    name="renew-selfsign-cert",
    summary="renew a self-signed certificate",
    description="""\
Makes a new certificate with the subject and the alternative names of a self-signed
one, new dates and a new serial number, and puts it in its place. Clients that were
told to trust the old certificate ask again.""",
    examples="""\
  msgcert renew-selfsign-cert Server-Cert
  msgcert renew-selfsign-cert Server-Cert --validity 12 --new-key""",
    add_arguments=_add_self_signed_arguments,
    run=_renew_self_signed,
)
