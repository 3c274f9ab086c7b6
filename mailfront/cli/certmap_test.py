"""`mailfront certmap-test`: who is this certificate, step by step, and may they log in?

Takes a certificate file, judges and maps it as the server would, with the same keystore,
certmap.conf and directory; nothing is sent to the server. Prints each step on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from mailfront.authentication.access import judge_access
from mailfront.authentication.certificate_mapping import CertificateMapper, MappingTrace, SearchStep
from mailfront.authentication.certificate_names import CertificateNames, certificate_names
from mailfront.authentication.certmap_file import CertmapFile
from mailfront.authentication.present_trust import PresentTrust
from mailfront.cli.directory_access import opened_directory, opened_keystore
from mailfront.cli.output import EXIT_FAILED, EXIT_OK, JsonValue, print_json, print_line
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.directory.enrolled_keys import key_fingerprint
from mailfront.directory.entry import Entry
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import Peer
from mailfront.keystore.certificate_files import read_certificates
from mailfront.keystore.formats import certificate_der, key_description
from mailfront.keystore.records import CertificateRecord
from mailfront.protocol.ldap_filter import to_text
from mailfront.protocol.mail_address import unicode_address
from mailfront.server.client_certificates import ClientCertificates

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers

SERVICES = {"imap": "imap", "pop": "pop", "smtp": "imta", "imta": "imta", "http": "http"}
_WIDTH = 14


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "certmap-test",
        help="show step by step which user a client certificate stands for",
        description="Show step by step which user a client certificate stands for: what it says, "
        "whether a CA trusted for clients issued it, the mapping of certmap.conf, each search in "
        "the directory, what was found, and whether the user may log in. Exit status 0 for a "
        "login, 1 for none.",
    )
    parser.add_argument(
        "certificate", metavar="CERTFILE",
        help="the certificate, with those of intermediate CAs behind it (PEM, DER or PKCS#7)",
    )  # fmt: skip
    parser.add_argument("--service", choices=tuple(SERVICES), default="imap", help="default: imap")
    parser.add_argument(
        "--from", dest="address", metavar="ADDRESS", default="127.0.0.1",
        help="the client's address, for the access filter of the user (default: 127.0.0.1)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a certificate; `refusal` is empty for a login. `remedy` is what would make a
    trusted one of it, if that is known."""

    certificate: x509.Certificate
    names: CertificateNames
    judged: ClientCertificate
    trace: MappingTrace | None
    refusal: str
    remedy: str

    @property
    def user(self) -> str:
        """Who logs in; empty for nobody."""
        entry = None if self.trace is None else self.trace.entry
        return "" if entry is None or self.refusal else entry.user


def run(arguments: argparse.Namespace) -> int:
    """Print every step; 0 for a login, 1 for none."""
    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    configuration = load_configuration(root.msg_conf)
    chain = read_certificates(Path(arguments.certificate))
    names = certificate_names(certificate_der(chain[0]))
    trust, for_servers = _trust_in_force(root, configuration)
    judged, remedy = _judged(trust, for_servers, chain)
    service = SERVICES[arguments.service]
    peer = Peer(arguments.address, 0, "", 0)
    trace, refusal = asyncio.run(_mapped(root, configuration, trust, judged, service, peer))
    outcome = Outcome(chain[0], names, judged, trace, refusal, remedy)
    if arguments.json:
        print_json(_record(outcome, arguments.service))
    else:
        _print_steps(outcome, arguments.service)
    return EXIT_OK if outcome.user else EXIT_FAILED


def _trust_in_force(
    root: ServerRoot, configuration: Configuration
) -> tuple[PresentTrust, Sequence[CertificateRecord]]:
    """By what the server judges certificates, and the CAs that are trusted for servers."""
    clients = ClientCertificates()
    with opened_keystore(root) as token:
        clients.load(configuration, token)
        return PresentTrust(lambda: clients.trust), token.server_authorities()


def _judged(
    trust: PresentTrust,
    for_servers: Sequence[CertificateRecord],
    chain: Sequence[x509.Certificate],
) -> tuple[ClientCertificate, str]:
    """Judge a chain as the TLS layer does what a client presents; with the remedy."""
    leaf, *rest = [certificate_der(each) for each in chain]
    judged = trust.judged(ClientCertificate(leaf, tuple(rest)))
    issuers = {certificate.issuer for certificate in chain}
    for record in for_servers if judged.fault is CertificateFault.UNTRUSTED else ():
        if record.certificate.subject in issuers:
            command = f"msgcert set-trust {shlex.quote(record.nickname)} --trust server,client"
            return judged, f"{record.nickname} is trusted for servers only: {command}"
    return judged, ""


async def _mapped(
    root: ServerRoot,
    configuration: Configuration,
    trust: PresentTrust,
    certificate: ClientCertificate,
    service: str,
    peer: Peer,
) -> tuple[MappingTrace | None, str]:
    certmap = CertmapFile(root.certmap_conf)
    with opened_directory(root, configuration) as directory:
        try:
            mapper = CertificateMapper(directory, certmap, trust.enrolled)
            trace = await mapper.trace(certificate, service)
        except DirectoryUnavailableError as failure:
            return None, f"the directory cannot be asked now: {failure}"
    if trace.entry is None:
        return trace, trace.reason
    denial = judge_access(trace.entry, service, peer)
    return trace, "" if denial is None else f"{trace.entry.user} may not log in: {denial.reason}"


def _print_steps(outcome: Outcome, service: str) -> None:
    for title, value in _facts(outcome.certificate, outcome.names):
        _print(title, value)
    _print("trust", _trust(outcome.judged))
    if outcome.remedy:
        _print("remedy", outcome.remedy)
    trace = outcome.trace
    if trace is not None and trace.mapping is not None:
        issuer = trace.mapping.issuer
        matched = "no other has this issuer" if issuer is None else f"issuer {issuer}"
        _print("mapping", f"{trace.mapping.name}, {trace.mapping.place} ({matched})")
    for step in () if trace is None else trace.searches:
        _print("search base", "the whole directory" if step.base is None else str(step.base))
        _print("filter", to_text(step.condition))
        _print("found", _found(step))
    if trace is not None and trace.verification:
        _print("verified", trace.verification)
    if trace is not None and trace.entry is not None:
        _print("status", trace.entry.status.value)
        rules = " ".join(trace.entry.service_access)
        _print("access filter", rules or "none")
    decision = f"login on {service} as {outcome.user}" if outcome.user else "no login"
    _print("decision", decision if not outcome.refusal else f"{decision}: {outcome.refusal}")


def _print(title: str, value: str) -> None:
    print_line(f"{title + ':':<{_WIDTH}} {value}".rstrip())


def _facts(certificate: x509.Certificate, names: CertificateNames) -> Sequence[tuple[str, str]]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return (
        ("subject", str(names.subject)),
        ("issuer", str(names.issuer)),
        ("serial number", f"{certificate.serial_number:x}"),
        ("valid", f"{begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC"),
        ("addresses", ", ".join(_addresses(names)) or "none in subjectAltName"),
        ("key", f"{key_description(certificate.public_key())}, {key_fingerprint(certificate)}"),
    )


def _addresses(names: CertificateNames) -> list[str]:
    emails = [f"email:{unicode_address(email)}" for email in names.emails]
    return emails + [f"UPN:{name}" for name in names.principal_names]


def _trust(judged: ClientCertificate) -> str:
    if judged.verified:
        return "a CA that is trusted for clients issued it"
    return judged.fault.value + (f" ({judged.detail})" if judged.detail else "")


def _found(step: SearchStep) -> str:
    return "; ".join(_entry(entry) for entry in step.found) or "no entry"


def _entry(entry: Entry) -> str:
    certificates = len(entry.certificates)
    held = f", certificates: {certificates}" if certificates else ""
    return f"{entry.user} ({entry.dn}{held})"


def _record(outcome: Outcome, service: str) -> JsonValue:
    trace = outcome.trace
    mapping = None if trace is None else trace.mapping
    names = outcome.names
    return {
        "subject": str(names.subject),
        "issuer": str(names.issuer),
        "emails": list(names.emails),
        "principal_names": list(names.principal_names),
        "key_fingerprint": key_fingerprint(outcome.certificate),
        "not_before": outcome.certificate.not_valid_before_utc.isoformat(),
        "not_after": outcome.certificate.not_valid_after_utc.isoformat(),
        "trusted": outcome.judged.verified,
        "fault": outcome.judged.fault.value,
        "fault_detail": outcome.judged.detail,
        "remedy": outcome.remedy,
        "mapping": None if mapping is None else mapping.name,
        "mapping_place": None if mapping is None else mapping.place,
        "searches": [
            {
                "base": None if step.base is None else str(step.base),
                "filter": to_text(step.condition),
                "found": [entry.user for entry in step.found],
            }
            for step in (() if trace is None else trace.searches)
        ],
        "verification": "" if trace is None else trace.verification,
        "entry": None if trace is None or trace.entry is None else trace.entry.user,
        "status": None if trace is None or trace.entry is None else trace.entry.status.value,
        "service": service,
        "login": outcome.user or None,
        "reason": outcome.refusal,
    }
