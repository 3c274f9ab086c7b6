"""Which certificate stands for each nickname, among those that clients are shown by name (SNI).

Takes what the keystore holds at each look. A certificate that was replaced is proved as that of a
personality is (`tls.rotation`), and only if it is fit does it succeed the one before; else that
one stays in force, with its key, which the keystore no longer has. What is there at the first look
has nothing before it and is in force at once; whether it is fit is told when it is first asked for,
so that thousands cost nothing at the start.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from mailfront.errors import KeystoreError
from mailfront.keystore.records import CertificateRecord, Credentials, Inventory
from mailfront.keystore.sealed_credentials import SealedCredentials
from mailfront.tls.certificate_names import NamedRecord, identity_of, named
from mailfront.tls.context import build_server_context
from mailfront.tls.key_policy import key_fault
from mailfront.tls.policy import Policy
from mailfront.tls.rotation import prove, prove_handshake

_log = logging.getLogger("mailfront.tls")

# So many lines about single certificates at one look; the rest is one line with a number.
MAXIMUM_LINES = 20


@dataclass(frozen=True, slots=True)
class _Standing:
    """A certificate in force, and whether it was proved or its faults were told."""

    credentials: SealedCredentials
    named: NamedRecord
    judged: bool

    @property
    def record(self) -> CertificateRecord:
        return self.credentials.record


@dataclass(frozen=True, slots=True)
class Refusal:
    """A certificate that stays out of force, by its fingerprint (empty: it is gone or cannot be
    read), the one that stays in force instead, and why."""

    nickname: str
    fingerprint: str
    in_force: str
    reason: str

    def __str__(self) -> str:
        wanted = self.fingerprint[:11] or "none that is intact"
        return (
            f"sni: {self.nickname!r} stays as it was (served {self.in_force[:11]}, keystore "
            f"{wanted}): {self.reason}"
        )


class Succession:
    """The certificates in force by nickname. `follow` is called in one thread at a time, `open`
    in the event loop.

    `rotations` and `refusals` count what was taken over and what was not since the start; those of
    nicknames that options name are told and counted by the services that present them.
    """

    def __init__(self) -> None:
        self.rotations = 0
        self.refusals = 0
        self.refused: Mapping[str, Refusal] = {}
        self._in_force: dict[str, _Standing] = {}
        self._authorities: tuple[x509.Certificate, ...] = ()
        self._told: Mapping[str, Refusal] = {}

    def forget(self) -> None:
        """Nothing is in force any more, nor refused."""
        self._in_force, self.refused, self._told = {}, {}, {}

    @property
    def records(self) -> list[CertificateRecord]:
        """The certificates in force, by nickname in order."""
        return [self._in_force[nickname].record for nickname in sorted(self._in_force)]

    @property
    def named(self) -> list[NamedRecord]:
        """The same with what they are for."""
        return [standing.named for standing in self._in_force.values()]

    def open(self, nickname: str) -> Credentials:
        """The credentials of a certificate in force. Raises `KeystoreError` if there is none."""
        standing = self._in_force.get(nickname)
        if standing is None:
            raise KeystoreError(f"no certificate {nickname!r} is in force")
        if not standing.judged:
            self._in_force[nickname] = _Standing(standing.credentials, standing.named, judged=True)
            try:
                prove(standing.record, None, self._authorities, datetime.now(UTC))
            except KeystoreError as failure:
                # There is nothing better for its names: better loud than down.
                _log.warning("nickname=%s is presented all the same: %s", nickname, failure)
        return standing.credentials.open()

    def follow(
        self,
        inventory: Inventory,
        policies: Collection[Policy],
        now: datetime,
        configured: Collection[str] = (),
    ) -> None:
        """Take over what is new and fit. `policies` are those under which services present it;
        `configured` are the nicknames that options name."""
        self._authorities = tuple(
            record.certificate for record in inventory.records if record.trust.is_authority
        )
        before, in_force = self._in_force, dict[str, _Standing]()
        refused: dict[str, Refusal] = {}
        rotated: list[tuple[str, str]] = []
        for record in inventory.records:
            nickname, old = record.nickname, before.get(record.nickname)
            new = inventory.credentials.get(nickname)
            if old is None:
                if new is not None:
                    in_force[nickname] = _Standing(new, named(record), judged=False)
                continue
            try:
                in_force[nickname] = successor = self._successor(old, record, new, policies, now)
            except KeystoreError as failure:
                in_force[nickname] = old
                refused[nickname] = Refusal(
                    nickname, record.sha256, old.record.sha256, str(failure)
                )
            else:
                if successor.named is not old.named:
                    line = f"fingerprint={record.sha256} replaced={old.record.sha256} by=sni"
                    rotated.append((nickname, f"nickname={nickname} {line}"))
        for nickname in (*inventory.altered, *inventory.missing):
            if (old := before.get(nickname)) is not None:
                in_force[nickname] = old
                reason = "its entry was altered or removed outside mailfront"
                refused[nickname] = Refusal(nickname, "", old.record.sha256, reason)
        self._in_force, self.refused = in_force, refused
        self._tell(rotated, refused, configured)

    def _successor(
        self,
        old: _Standing,
        record: CertificateRecord,
        new: SealedCredentials | None,
        policies: Iterable[Policy],
        now: datetime,
    ) -> _Standing:
        if new is None:
            raise KeystoreError(f"{record.nickname!r} has no private key any more")
        if identity_of(record) == old.named.identity:
            return _Standing(new, old.named, old.judged)
        if old.named.names:
            self._prove(new, old.record.certificate, policies, now)
        return _Standing(new, named(record), judged=True)

    def _prove(
        self,
        new: SealedCredentials,
        old: x509.Certificate,
        policies: Iterable[Policy],
        now: datetime,
    ) -> None:
        certificate = new.record.certificate
        prove(new.record, old, self._authorities, now)
        credentials = new.open()
        for policy in policies:
            if fault := key_fault(certificate.public_key(), policy):
                if key_fault(old.public_key(), policy):
                    continue
                raise KeystoreError(fault)
            context = build_server_context([credentials], policy, alpn=(), tickets=False)
            prove_handshake(context.ssl_context, context.certificates)

    def _tell(
        self,
        rotated: Sequence[tuple[str, str]],
        refused: Mapping[str, Refusal],
        configured: Collection[str],
    ) -> None:
        """Log and count each once, but for what the services tell themselves."""
        own = frozenset(configured)
        fresh = [
            each
            for nickname, each in refused.items()
            if nickname not in own and self._told.get(nickname) != each
        ]
        self._told = {name: each for name, each in refused.items() if name not in own}
        succeeded = [line for nickname, line in rotated if nickname not in own]
        self.rotations += len(succeeded)
        self.refusals += len(fresh)
        for line in succeeded[:MAXIMUM_LINES]:
            _log.info("%s", line)
        for each in fresh[:MAXIMUM_LINES]:
            _log.error(
                "nickname=%s fingerprint=%s stays out of force, %s is presented: %s",
                each.nickname, each.fingerprint or "-", each.in_force,
                each.reason.replace("\n", "; "),
            )  # fmt: skip
        more = len(succeeded[MAXIMUM_LINES:]), len(fresh[MAXIMUM_LINES:])
        if any(more):
            _log.warning("by sni: %d more certificates replaced, %d more refused", *more)

    def problems(self, limit: int = MAXIMUM_LINES) -> list[str]:
        """What is refused, but for what the services tell themselves."""
        told = [str(each) for _, each in sorted(self._told.items())]
        more = len(told) - limit
        return [
            *told[:limit],
            *([f"sni: {more} more certificates are refused"] if more > 0 else []),
        ]
