"""`set-trust`: what a CA is trusted for; and the words for it that other subcommands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from cryptography import x509

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.errors import KeystoreError
from mailfront.keystore.chain import is_authority
from mailfront.keystore.formats import name_text
from mailfront.keystore.trust import TrustFlags

_WORDS = {
    "server": TrustFlags.SERVERS,
    "servers": TrustFlags.SERVERS,
    "client": TrustFlags.CLIENTS,
    "clients": TrustFlags.CLIENTS,
    "none": TrustFlags.NONE,
}


def parse_trust_words(text: str) -> TrustFlags:
    """Return the flags that words such as `server,client` name. Raises `ArgumentTypeError`."""
    words = [word.strip().lower() for word in text.split(",")]
    unknown = [word for word in words if word not in _WORDS]
    if unknown or ("none" in words and len(words) > 1):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no trust; give server, client, server,client or none"
        )
    flags = TrustFlags.NONE
    for word in words:
        flags |= _WORDS[word]
    return flags


def trust_text(trust: TrustFlags) -> str:
    """Return for what a CA is trusted, for people."""
    names = {TrustFlags.SERVERS: "servers", TrustFlags.CLIENTS: "clients"}
    return " and ".join(name for flag, name in names.items() if flag in trust) or "nothing"


def add_trust_argument(
    parser: argparse.ArgumentParser, text: str, *, default: TrustFlags | None = None
) -> None:
    """Add --trust."""
    parser.add_argument(
        "--trust",
        type=parse_trust_words,
        metavar="FOR",
        default=default,
        help=f"{text}: server, client, or both divided by a comma (default: server)",
    )


def require_authority(certificate: x509.Certificate, *, file: Path | None = None) -> None:
    """Raise `KeystoreError` unless the certificate is a CA's."""
    if not is_authority(certificate):
        raise KeystoreError(
            f"the certificate of {name_text(certificate.subject)} is not a CA's",
            remedy="only a certificate that says CA:TRUE can be trusted to issue others; for a "
            "server's own certificate leave out -C",
            file=file,
        )


def _set_trust(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        present = token.require(arguments.alias)
        if arguments.trust.is_authority:
            require_authority(present.certificate)
        record = token.set_trust(arguments.alias, arguments.trust)
    print_message(f"{record.nickname} is trusted for {trust_text(record.trust)}")
    return 0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname of the CA")
    parser.add_argument(
        "--trust",
        type=parse_trust_words,
        metavar="FOR",
        required=True,
        help="what the CA is trusted for from now on: server, client, both divided by a comma, or "
        "none",
    )


SET_TRUST = Subcommand(
    name="set-trust",
    summary="change what a CA is trusted for",
    description="""\
Sets what a CA in the database is trusted for: to vouch for servers that mailfront
connects to, for clients that show a certificate, for both, or for none. What it
was trusted for before is forgotten.""",
    examples="""\
  msgcert set-trust "Example CA" --trust server
  msgcert set-trust "Staff CA" --trust server,client
  msgcert set-trust "Old CA" --trust none""",
    add_arguments=_add_arguments,
    run=_set_trust,
)
