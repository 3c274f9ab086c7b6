"""Arguments that say whom a certificate names and which key it has, shared by several subcommands.

Takes parsed arguments, returns subject, alternative names and kind of key; raises `KeystoreError`.
"""

from __future__ import annotations

import argparse

from cryptography import x509

from mailfront.configuration.machine import machine_name
from mailfront.keystore import requests

_SUBJECT_PARTS = ("name", "org", "org_unit", "city", "state", "country")


def add_subject_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -S, the parts of a subject, and --san."""
    subject = parser.add_argument_group(
        "whom it names", "Either a whole subject, or its parts. Default: this machine's name."
    )
    subject.add_argument("-S", "--subject", metavar="DN", help="subject in the form of RFC 4514")
    subject.add_argument("--name", metavar="CN", help="common name, usually the host name")
    subject.add_argument("--org", metavar="O", help="organisation")
    subject.add_argument("--org-unit", metavar="OU", help="organisational unit")
    subject.add_argument("--city", metavar="L", help="locality")
    subject.add_argument("--state", metavar="ST", help="state or province")
    subject.add_argument("--country", metavar="C", help="country, two letters")
    subject.add_argument(
        "--san",
        metavar="NAMES",
        action="append",
        default=[],
        help="alternative names, the ones that clients compare: host names, IP addresses, mail "
        "addresses; comma-separated or repeated (default: the common name)",
    )


def add_key_arguments(group: argparse._ArgumentGroup) -> None:
    """Add --keytype, --keysize and --curve."""
    group.add_argument(
        "--keytype", choices=requests.KEY_TYPES, help="default: ec, which every client takes"
    )
    group.add_argument(
        "--keysize", type=int, metavar="BITS", help="for rsa: 2048 (default), 3072 or 4096"
    )
    group.add_argument("--curve", metavar="CURVE", help="for ec: P-256 (default) or P-384")


def check_subject_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a usage error where a whole subject and parts of one are given."""
    if arguments.subject is not None:
        for part in _SUBJECT_PARTS:
            if getattr(arguments, part) is not None:
                parser.error(f"--{part.replace('_', '-')} cannot be given together with -S")


def subject_of(arguments: argparse.Namespace) -> x509.Name:
    """Return the subject that the arguments name, by default this machine."""
    parts = {part: getattr(arguments, part) or "" for part in _SUBJECT_PARTS}
    if arguments.subject is not None:
        return requests.parse_subject(arguments.subject)
    if arguments.name is None:
        parts["name"] = requests.name_of_host(machine_name())
    return requests.build_subject(**parts)


def alternative_names_of(arguments: argparse.Namespace) -> tuple[x509.GeneralName, ...] | None:
    """Return the alternative names that the arguments list, or None if they list none."""
    texts = [name for given in arguments.san for name in given.split(",")]
    return tuple(map(requests.parse_alternative_name, texts)) if texts else None


def key_kind_of(arguments: argparse.Namespace) -> requests.KeyKind:
    """Return the kind of key that the arguments ask for, checked."""
    family = arguments.keytype or ("rsa" if arguments.keysize is not None else "ec")
    kind = requests.KeyKind(family, arguments.keysize, arguments.curve)
    kind.check()
    return kind


def notes_on(
    subject: x509.Name, names: tuple[x509.GeneralName, ...] | None, kind: requests.KeyKind
) -> list[str]:
    """Return what clients will have against a certificate of these names and this key."""
    notes = []
    if names is None and not requests.default_alternative_names(subject):
        notes.append(
            "note: the common name is no host name, so no client can match this certificate to a "
            "server; name the hosts with --san"
        )
    if kind.family == "ed25519":
        notes.append("note: browsers and many mail clients cannot use Ed25519 certificates")
    return notes
