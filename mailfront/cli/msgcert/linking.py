"""`link`, `unlink`, `list-links`: certificates that follow files which another tool renews."""

from __future__ import annotations

import argparse
from pathlib import Path

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_json, print_message, print_table
from mailfront.errors import KeystoreError
from mailfront.keystore.importing import known_issuers
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.linked_files import Link, read_linked
from mailfront.keystore.nicknames import check_nickname
from mailfront.keystore.records import NewEntry
from mailfront.keystore.trust import TrustFlags


def _link(arguments: argparse.Namespace) -> int:
    link = Link(
        arguments.alias,
        _absolute(arguments.cert),
        _absolute(arguments.key) if arguments.key else None,
        _absolute(arguments.chain) if arguments.chain else None,
    )
    check_nickname(link.nickname)
    with open_token(arguments) as token:
        _take_over(token, link)
    print_message(
        f"{link.nickname} follows {link.certificate_file}; a running server imports every change"
    )
    return 0


def _take_over(token: InternalToken, link: Link) -> None:
    """Import what the files hold now, and remember them, in one transaction."""
    chain, private_key = read_linked(link, known_issuers(token))
    with token.change() as step:
        if step.find(link.nickname) is not None:
            step.replace(link.nickname, chain, private_key)
        elif private_key is not None:
            step.add(NewEntry(link.nickname, chain, private_key, TrustFlags.USER))
        else:
            raise KeystoreError(
                f"there is no certificate with the nickname {link.nickname!r} whose key could stay",
                remedy="give the key's file too: --key FILE",
            )
        step.link(link)


def _absolute(name: str) -> Path:
    # Not resolved: where the symbolic links lead is what changes at a renewal.
    return Path(name).expanduser().absolute()


def _unlink(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token, token.change() as step:
        if not step.unlink(arguments.alias):
            raise KeystoreError(
                f"{arguments.alias!r} follows no files",
                remedy="`msgcert list-links` shows what does",
            )
    print_message(f"{arguments.alias} stays as it is and follows no files any more")
    return 0


def _list_links(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        links = token.links()
    if arguments.json:
        print_json(
            [
                {
                    "nickname": link.nickname,
                    "certificate_file": str(link.certificate_file),
                    "key_file": str(link.key_file) if link.key_file else None,
                    "chain_file": str(link.chain_file) if link.chain_file else None,
                }
                for link in links
            ]
        )
        return 0
    rows = [
        [
            link.nickname,
            str(link.certificate_file),
            str(link.key_file or "-"),
            str(link.chain_file or "-"),
        ]
        for link in links
    ]
    print_table(["Alias", "Certificate", "Key", "Chain"], rows)
    return 0


def _add_link_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname, new or present")
    parser.add_argument(
        "--cert", metavar="FILE", required=True, help="the certificate, with its issuers or without"
    )
    parser.add_argument("--key", metavar="FILE", help="its private key (default: the present one)")
    parser.add_argument("--chain", metavar="FILE", help="its issuers, where they are apart")


def _add_alias(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname")


def _add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


LINK = Subcommand(
    name="link",
    summary="let a certificate follow files that another tool renews",
    description="""\
Imports a certificate and its key from files, and lets the running server look
at them every second: when certbot, acme.sh, lego or Kubernetes puts renewed
ones there, they are imported by themselves. A renewed certificate is proved
before it serves: it must have its key and its whole chain, be valid, be for
every host name that the old one was for, and complete a handshake. If it does
not, the old one stays, and the log and `mailfront status` say why.

The server's user must be able to read the files.""",
    examples="""\
  msgcert link imap-cert --cert /etc/letsencrypt/live/mail.example.org/fullchain.pem \\
      --key /etc/letsencrypt/live/mail.example.org/privkey.pem
  msgcert link Server-Cert --cert cert.pem --chain chain.pem --key key.pem""",
    add_arguments=_add_link_arguments,
    run=_link,
)

UNLINK = Subcommand(
    name="unlink",
    summary="let a certificate follow no files any more",
    description="The certificate stays as it was last imported.",
    examples="  msgcert unlink imap-cert",
    add_arguments=_add_alias,
    run=_unlink,
)

LIST_LINKS = Subcommand(
    name="list-links",
    summary="list the certificates that follow files",
    description="Lists nicknames and the files that they follow.",
    examples="  msgcert list-links\n  msgcert list-links --json",
    add_arguments=_add_list_arguments,
    run=_list_links,
)
