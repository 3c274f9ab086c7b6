"""A running server with users and client CAs, and a client of each service that logs in by
certificate: the parts of every test of certificate login.

Certificates are known by what is right or wrong with them (`CASES`); each service answers in its
own words, which come back as `OUTCOMES`.
"""

from __future__ import annotations

import base64
import copy
import http.client
import itertools
import re
import ssl
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.client_authority import NOW, ClientAuthority, ClientIdentity
from tests.support.dialogue import Dialogue, unverified_context
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer, run_command

CASES = (
    "valid", "expired", "revoked", "untrusted", "unmapped", "ambiguous", "verifycert mismatch",
    "disabled user", "none",
)  # fmt: skip
SERVICES = ("imaps", "pops", "submissions", "https")
# What EXTERNAL leads to with a certificate that is requested, whatever the service and the version
# of TLS; and what the log says of those that are verified.
OUTCOMES = {
    "valid": "granted",
    "expired": "not offered",
    "revoked": "not offered",
    "untrusted": "not offered",
    "unmapped": "refused",
    "ambiguous": "refused",
    "verifycert mismatch": "refused",
    "disabled user": "later",
    "none": "not offered",
}
REASONS = {
    "unmapped": "no entry matches",
    "ambiguous": "more than one entry matches",
    "verifycert mismatch": "verifycert: the entry holds no certificate",
    "disabled user": "reason=inactive",
}
# What a client is told by alert where such certificates end the handshake.
ALERTS = {
    "expired": "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "revoked": "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "untrusted": "TLSV1_ALERT_UNKNOWN_CA",
}
NO_CERTIFICATE_ALERTS = {
    "1.2": "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "1.3": "TLSV13_ALERT_CERTIFICATE_REQUIRED",
}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
DISABLED = "carol@example.test"

_CERTMAP = """
certmap names CN=Names CA
names:DNComps
names:FilterComps cn
certmap verified CN=Verifying CA
verified:DNComps
verified:SanEmail on
verified:verifycert on
certmap default default
default:DNComps
default:FilterComps e
default:SanEmail on
"""
_addresses = itertools.count(257)
_FORM_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class LoginSite:
    """Prepares the server root of `server`, which must not run yet, and holds the certificates."""

    def __init__(self, server: MailServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.staff = ClientAuthority("Staff CA")
        names, verifying = ClientAuthority("Names CA"), ClientAuthority("Verifying CA")
        for authority in (self.staff, names, verifying):
            self.trust(authority)
        for number in (1, 2):
            self._add_user(f"twin{number}@example.test", "--name", "Twin")
        self._add_user(DISABLED)
        self._replace_in_users("mail: carol@example.test\n", "inetUserStatus: active", "inactive")
        server.root.certmap_conf.write_text(_CERTMAP)
        past = NOW - timedelta(days=1)
        revoked = self.staff.issue("alice")
        self._write_list(revoked)
        self.identities: dict[str, ClientIdentity | None] = {
            "valid": self.staff.issue("alice"),
            "expired": self.staff.issue("alice", begins=NOW - timedelta(days=9), ends=past),
            "revoked": revoked,
            "untrusted": ClientAuthority("Strangers CA").issue("alice"),
            "unmapped": self.staff.issue("nobody"),
            "ambiguous": names.issue("Twin"),
            "verifycert mismatch": verifying.issue("alice"),
            "disabled user": self.staff.issue("carol"),
            "none": None,
        }

    def copied(self, path: Path, options: dict[str, str] | None = None) -> LoginSite:
        """Return a site over a copy of this server root, with options of its own."""
        twin = copy.copy(self)
        twin.identities = dict(self.identities)
        twin.server = MailServer.copied(self.server.root.path, path, options)
        return twin

    def trust(self, authority: ClientAuthority) -> None:
        """Trust a CA for clients."""
        name = authority.certificate.subject.rfc4514_string().removeprefix("CN=")
        path = self.directory / f"{name.replace(' ', '-')}.pem"
        path.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        self.msgcert("add-cert", "-C", "--trust", "client", name, str(path))

    def msgcert(self, *arguments: str) -> None:
        """Run a subcommand of msgcert on the server root."""
        done = run_command("msgcert", "--home", str(self.server.root.path), *arguments)
        assert done.returncode == 0, done.stderr

    def certificate_file(self, case: str) -> Path:
        """One PEM file with the key and the certificate."""
        identity = self.identities[case]
        assert identity is not None
        return identity.write(self.directory, case.replace(" ", "-"))

    def context(self, case: str, version: str = "1.3") -> ssl.SSLContext:
        """A client's context that presents the certificate of a case."""
        context = unverified_context()
        context.minimum_version = context.maximum_version = VERSIONS[version]
        if self.identities[case] is not None:
            context.load_cert_chain(self.certificate_file(case))
        return context

    def _add_user(self, address: str, *more: str) -> None:
        done = self.server.mailfront("user", "add", address, "--generate", *more)
        assert done.returncode == 0, done.stderr

    def _replace_in_users(self, after: str, line: str, value: str) -> None:
        path = self.server.root.users_ldif
        before, found, rest = path.read_text().partition(after)
        name = line.partition(":")[0]
        path.write_text(before + found + rest.replace(line, f"{name}: {value}", 1))

    def _write_list(self, revoked: ClientIdentity) -> None:
        path = self.directory / "staff.crl"
        path.write_bytes(self.staff.revocation_list([revoked.certificate.serial_number]))
        self.msgcert("add-crl", "Staff CA", str(path))


def fresh_address() -> str:
    """A loopback address from which nobody has failed to log in yet: throttling slows down the
    address of whoever fails."""
    number = next(_addresses)
    return f"127.{number >> 16 & 127 | 64}.{number >> 8 & 255}.{number & 255}"


def connect(port: int, context: ssl.SSLContext) -> Dialogue:
    """Connect to a port where TLS starts at once."""
    dialogue = Dialogue(port, source=fresh_address())
    dialogue.start_tls(context)
    return dialogue


def log_in(service: str, port: int, context: ssl.SSLContext, authorization: str = "") -> str:
    """Log in by EXTERNAL, or by the button of the sign-in page; return the outcome, or the alert
    that ended the handshake."""
    try:
        return _logged_in(service, port, context, authorization)
    except ssl.SSLError as error:
        return error.reason


def _logged_in(service: str, port: int, context: ssl.SSLContext, authorization: str) -> str:
    if service == "https":
        return _sign_in(port, context)
    response = base64.b64encode(authorization.encode()) or b"="
    with connect(port, context) as client:
        if service == "imaps":
            [greeting] = client.lines_until(b"* ")
            if b"AUTH=EXTERNAL" not in greeting:
                return "not offered"
            answer = client.ask(b"a AUTHENTICATE EXTERNAL " + response, b"a ")[-1]
            if answer.startswith(b"a NO [UNAVAILABLE]"):
                return "later"
            return "granted" if answer.startswith(b"a OK") else "refused"
        if service == "pops":
            client.line()
            offered = client.ask(b"CAPA", b".")
            if not any(line.startswith(b"SASL") and b" EXTERNAL" in line for line in offered):
                return "not offered"
            answer = client.ask(b"AUTH EXTERNAL " + response, b"+OK", b"-ERR")[-1]
            if answer.startswith(b"-ERR [SYS/TEMP]"):
                return "later"
            return "granted" if answer.startswith(b"+OK") else "refused"
        client.line()
        offered = client.ask(b"EHLO client.example", b"250 ")
        if not any(b"AUTH" in line and b" EXTERNAL" in line for line in offered):
            return "not offered"
        answer = client.ask(b"AUTH EXTERNAL " + response, b"235", b"4", b"5")[-1]
        if answer.startswith(b"454 4.7.0"):
            return "later"
        return "granted" if answer.startswith(b"235") else "refused"


def expected(service: str, outcome: str) -> str:
    """What `log_in` returns for an outcome: a form that is not on the page can still be sent."""
    return "refused" if service == "https" and outcome == "not offered" else outcome


def log_in_by_password(
    service: str, port: int, context: ssl.SSLContext, password: str, user: str = ALICE
) -> str:
    """Log in with a password; return the outcome."""
    if service == "https":
        return _sign_in(port, context, user, password)
    plain = base64.b64encode(f"\0{user}\0{password}".encode())
    command, good = {
        "imaps": (b"a AUTHENTICATE PLAIN ", b"a OK"),
        "pops": (b"AUTH PLAIN ", b"+OK"),
        "submissions": (b"AUTH PLAIN ", b"235"),
    }[service]
    with connect(port, context) as client:
        client.line()
        if service == "submissions":
            client.ask(b"EHLO client.example", b"250 ")
        answer = client.ask(command + plain, b"a ", b"+OK", b"-ERR", b"2", b"4", b"5")[-1]
        return "granted" if answer.startswith(good) else "refused"


class WebClient:
    """Signs in to webmail; each request has a connection of its own, with its context."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.port = port
        self.context = context
        self.cookies: dict[str, str] = {}
        self.source = fresh_address()

    def request(
        self, method: str, path: str, fields: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Return the status and the body of the answer."""
        connection = http.client.HTTPSConnection(
            LOOPBACK, self.port, context=self.context, source_address=(self.source, 0)
        )
        headers = {"Cookie": "; ".join(f"{name}={text}" for name, text in self.cookies.items())}
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, urlencode(fields or {}), headers)
            response = connection.getresponse()
            for name, value in response.getheaders():
                if name.lower() == "set-cookie":
                    key, _, text = value.partition(";")[0].partition("=")
                    self.cookies[key] = text.strip('"')
            return response.status, response.read().decode()
        finally:
            connection.close()

    def form_token(self) -> str:
        """The token of the sign-in page."""
        match = _FORM_TOKEN.search(self.request("GET", "/sign-in")[1])
        return match[1] if match else ""


def _sign_in(port: int, context: ssl.SSLContext, login: str = "", password: str = "") -> str:
    client = WebClient(port, context)
    page = client.request("GET", "/sign-in")[1]
    offered = 'action="/sign-in/certificate"' in page
    match = _FORM_TOKEN.search(page)
    # Where there is no form at all, its cookie is set all the same.
    fields = {"csrf_token": match[1] if match else client.cookies.get("__Host-sign-in", "")}
    path = "/sign-in/certificate"
    if login:
        path, fields = "/sign-in", fields | {"login": login, "password": password}
    status, _ = client.request("POST", path, fields)
    outcome = {303: "granted", 401: "refused", 403: "refused", 503: "later"}[status]
    if not login:
        assert offered is (outcome == "granted")
    return outcome
