"""What each group of ports asks of its clients, out of the options and the keystore.

The CAs that are trusted for clients and their revocation lists are read when the keystore changes;
a list is parsed once, however often the rest changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError, KeystoreError
from mailfront.keystore.chain import is_authority
from mailfront.keystore.formats import name_text
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.revocation_lists import (
    RevocationList,
    Revocations,
    parse_revocation_list,
)
from mailfront.tls import certificate_bridge
from mailfront.tls.client_authentication import Asking, ClientAuthentication
from mailfront.tls.client_ocsp import ClientOcsp, OcspUse
from mailfront.tls.client_verification import ClientTrust

GROUPS = ("smtp", "submit", "imap", "pop", "http")
_LOGIN_GROUPS = GROUPS[1:]
# A list that ends sooner is warned of, if it was to last longer than that.
_WARN_BEFORE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Known:
    """A revocation list as it was read, and what differs when another takes its place."""

    tag: bytes
    content: RevocationList


class ClientCertificates:
    """One `ClientAuthentication` per group of ports, all by the same trust; `ocsp`, if there is
    one, is told of it too."""

    def __init__(self) -> None:
        self.authentications = {group: ClientAuthentication() for group in GROUPS}
        self.problem = ""
        self.ocsp: ClientOcsp | None = None
        self._loaded = False
        self._trust: ClientTrust | None = None
        self._state: object = None
        self._lists: dict[bytes, _Known] = {}
        self._hard = True
        self._only_door: tuple[str, ...] = ()

    def load(self, configuration: Configuration, token: InternalToken) -> None:
        """Follow options and keystore.

        What cannot be read or enforced is a `problem`, and what was in force stays. Raises
        `ConfigurationError` or `KeystoreError` if nothing was in force yet.
        """
        try:
            _require_feasible(configuration)
            trust = self._present_trust(configuration, token)
        except (ConfigurationError, KeystoreError) as failure:
            if not self._loaded:
                raise
            self.problem = f"client certificates: {failure}"
            return
        self._loaded, self.problem, self._trust = True, "", trust
        self._only_door = tuple(
            group
            for group in _LOGIN_GROUPS
            if not configuration.boolean(f"service.{group}.allowpasswordlogin")
        )
        refuses = configuration.string("local.ssl.invalidclientcert") == "alert"
        for group, authentication in self.authentications.items():
            authentication.follow(_asking(configuration, group), trust, refuses=refuses)
        if self.ocsp is not None:
            use = OcspUse(configuration.string("local.ssl.clientocsp"))
            seconds = configuration.integer("local.ssl.clientocsptimeout")
            self.ocsp.follow(use, trust, seconds)

    @property
    def trust(self) -> ClientTrust | None:
        """By what certificates are judged; None where OpenSSL cannot be asked."""
        return self._trust

    def warnings(self, now: datetime | None = None) -> list[str]:
        """What an operator must be told of it though it works as configured."""
        return list(self._warnings(now or datetime.now(UTC)))

    def _present_trust(
        self, configuration: Configuration, token: InternalToken
    ) -> ClientTrust | None:
        if certificate_bridge.problem():
            return None
        hard = configuration.string("local.ssl.crlexpired") == "hard"
        authorities = [
            record for record in token.client_authorities() if is_authority(record.certificate)
        ]
        lists = self._present_lists(token)
        tags = tuple(known.tag for known in lists.values())
        state = (tuple(record.sha256 for record in authorities), tags, hard)
        if state == self._state and self._trust is not None:
            return self._trust
        trust = ClientTrust(
            [record.certificate for record in authorities],
            Revocations({issuer: known.content for issuer, known in lists.items()}),
            hard=hard,
        )
        self._state, self._lists, self._hard = state, lists, hard
        return trust

    def _present_lists(self, token: InternalToken) -> dict[bytes, _Known]:
        lists: dict[bytes, _Known] = {}
        with token.revocation_lists() as table:
            stored = table.stored()
        for row in stored:
            known = self._lists.get(row.issuer)
            if known is None or known.tag != row.tag:
                # Read one by one: parsing takes a second per million entries.
                with token.revocation_lists() as table:
                    found = table.read(row.issuer)
                if found is None:
                    raise KeystoreError("a revocation list was replaced a moment ago")
                known = _Known(row.tag, parse_revocation_list(found[1]))
            lists[row.issuer] = known
        return lists

    def _warnings(self, now: datetime) -> Iterator[str]:
        asking = {group: each.asking for group, each in self.authentications.items()}
        trusted = self._trust is not None and bool(self._trust.subjects)
        if problem := certificate_bridge.problem():
            if any(each is Asking.REQUEST for each in asking.values()):
                yield f"client certificates are not asked for: {problem}"
            return
        for group, each in asking.items():
            if each is Asking.REQUIRE and not trusted:
                yield (
                    f"service.{group}.clientauth is require, and no CA is trusted for clients: "
                    "nobody can connect (`msgcert set-trust CA --trust client`)"
                )
        for group in self._only_door:
            if not self.authentications[group].description:
                yield (
                    f"service.{group}.allowpasswordlogin is no, and clients are asked for no "
                    "certificate: nobody can log in (`msgcert set-trust CA --trust client`, "
                    f"service.{group}.clientauth)"
                )
        if self._trust is not None and not self._trust.names_fit:
            yield "the CAs trusted for clients are too many to be named to clients"
        for known in self._lists.values():
            yield from self._warnings_about(known.content, now)

    def _warnings_about(self, found: RevocationList, now: datetime) -> Iterator[str]:
        name, end = name_text(found.issuer), found.next_update
        if end is None:
            return
        if now > end:
            yield (
                f"the revocation list of {name} is out of date since {end:%Y-%m-%d %H:%M} UTC: "
                + ("its certificates identify nobody" if self._hard else "only those on it count")
                + "; add a new one (`msgcert add-crl`)"
            )
        elif end - now < _WARN_BEFORE < end - found.this_update:
            yield f"the revocation list of {name} is good until {end:%Y-%m-%d %H:%M} UTC only"


def _asking(configuration: Configuration, group: str) -> Asking:
    return Asking(configuration.string(f"service.{group}.clientauth"))


def _require_feasible(configuration: Configuration) -> None:
    problem = certificate_bridge.problem()
    for group in GROUPS:
        if problem and _asking(configuration, group) is Asking.REQUIRE:
            option = f"service.{group}.clientauth"
            raise ConfigurationError(
                f"{option} = require: {problem}",
                remedy="use a Python whose ssl module is linked to OpenSSL as a shared library",
                line=configuration.line_of(option),
            )
