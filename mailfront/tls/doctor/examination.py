"""The examination of one port: every probe in turn, each with its own connection and deadline.

Takes a `Target` and the authorities to trust beside this machine's own, gives an `Examination`.
Raises `OperatorError` if no TCP connection comes about at all. What a later probe cannot find out
(a time-out, a connection refused for being one too many) is noted in `not_examined`, never guessed.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from cryptography import x509

from mailfront.errors import (
    KeystoreError,
    MailfrontError,
    OperatorError,
    StarttlsError,
    TlsAnswerError,
)
from mailfront.keystore.formats import load_certificate
from mailfront.protocol.starttls_client import Dialogue
from mailfront.protocol.tls_probe.answer import Answer
from mailfront.protocol.tls_probe.code_points import (
    ALERTS,
    NO_APPLICATION_PROTOCOL,
    SIGNATURE_SCHEMES,
    TLS12,
    TLS13,
    VERSIONS,
    name_of,
)
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.doctor import enumeration, injection, trust
from mailfront.tls.doctor.connection import Connection
from mailfront.tls.doctor.facts import Examination, StarttlsFacts
from mailfront.tls.doctor.hidden_flight import DECRYPTABLE, HiddenFlight, KeyPairs
from mailfront.tls.doctor.staple import examine_staple
from mailfront.tls.doctor.target import Target

SECONDS = 10.0
# A server that answers no probe at all ends the examination after this.
TOTAL_SECONDS = 60.0
# A registered name (RFC 7301 registry) that no mail or web server serves.
FOREIGN_ALPN = "ftp"
_RENEGOTIATION, _EXTENDED_MASTER_SECRET = 0xFF01, 23


def examine(
    target: Target, authorities: Sequence[x509.Certificate] = (), *, seconds: float = SECONDS
) -> Examination:
    """Examine a port; each connection may last so many seconds."""
    examiner = _Examiner(target, authorities, seconds)
    examiner.run()
    return examiner.facts


class _Examiner:
    def __init__(
        self, target: Target, authorities: Sequence[x509.Certificate], seconds: float
    ) -> None:
        self.facts = Examination(target)
        self._target = target
        self._authorities = authorities
        self._seconds = seconds
        self._deadline = time.monotonic() + TOTAL_SECONDS

    def run(self) -> None:
        if not self._reaches_tls():
            return
        self._versions()
        if not self.facts.accepted_versions:
            return
        self._certificates()
        self._verification()
        self._staple()
        for number, name in VERSIONS.items():
            if self.facts.versions.get(name):
                self._suites_and_groups(number, name)
        if self.facts.versions.get(VERSIONS[TLS12]):
            self._tls12_details()
        self._resumption()
        self._alpn()
        if self._target.starttls is not None:
            self._starttls()

    def _reaches_tls(self) -> bool:
        """The clear part. What goes wrong here is the finding, and ends the examination."""
        with self._connect() as connection:
            try:
                dialogue = connection.reach_tls()
            except StarttlsError as failure:
                self.facts.starttls_fault = failure.fault
                self.facts.starttls_problem = str(failure)
                return False
            except OSError as failure:
                self.facts.starttls_problem = f"no answer in clear: {failure}"
                return False
        if dialogue is not None:
            self.facts.starttls = StarttlsFacts(clear=dialogue.capabilities)
        return True

    def _versions(self) -> None:
        for number, name in VERSIONS.items():
            with self._noting(name):
                answer = enumeration.accepts(self._probe, number, self._target.server_name)
                self.facts.versions[name] = answer is not None
                if answer is not None and number != TLS13:
                    self._note_chain(answer)
                if answer is not None and number == TLS12:
                    self.facts.secure_renegotiation = _RENEGOTIATION in answer.extensions
                    self.facts.extended_master_secret = _EXTENDED_MASTER_SECRET in answer.extensions
                    if answer.signature_scheme:
                        self.facts.signature_algorithms[name] = name_of(
                            answer.signature_scheme, SIGNATURE_SCHEMES
                        )
        self.facts.not_examined["SSLv2"] = "no ClientHello of it is made here"

    def _certificates(self) -> None:
        """The chain as TLS 1.3 presents it; it has precedence over that of older versions."""
        if not self.facts.versions.get(VERSIONS[TLS13]):
            return
        with self._noting("chain and signature of TLS 1.3"):
            keys = KeyPairs.generate()
            offer = self._decryptable_offer(keys)
            with self._connect() as connection:
                connection.reach_tls()
                answer = connection.probe(offer)
                self._reveal(connection, offer, answer, keys)
            self._note_chain(answer)
            self.facts.signature_algorithms[VERSIONS[TLS13]] = name_of(
                answer.signature_scheme, SIGNATURE_SCHEMES
            )

    def _decryptable_offer(self, keys: KeyPairs, alpn: Sequence[str] = ()) -> Offer:
        shares = keys.shares()
        return Offer(
            TLS13,
            suites=DECRYPTABLE,
            groups=[group for group, _ in shares],
            server_name=self._target.server_name,
            alpn=alpn,
            key_shares=shares,
        )

    def _reveal(self, connection: Connection, offer: Offer, answer: Answer, keys: KeyPairs) -> None:
        """Receive and decrypt until the server's Finished has been seen."""
        hidden = HiddenFlight(offer, answer, keys)
        taken = 0
        while not answer.is_finished:
            while taken == len(answer.encrypted):
                data = connection.receive()
                if not data:
                    raise TlsAnswerError("the server broke off in its first flight")
                answer.feed(data)
            hidden.take(*answer.encrypted[taken])
            taken += 1
            if answer.alert is not None:
                raise TlsAnswerError(f"alert {name_of(answer.alert, ALERTS)}")

    def _note_chain(self, answer: Answer) -> None:
        if not answer.chain:
            return
        try:
            self.facts.chain = tuple(load_certificate(der) for der in answer.chain)
        except KeystoreError as failure:
            self.facts.not_examined["certificate chain"] = failure.what

    def _verification(self) -> None:
        leaf = self.facts.leaf
        if leaf is None:
            self.facts.not_examined.setdefault("trust", "no certificate was seen")
            return
        with self._noting("trust"):
            verdict = trust.verify(self._handshake, leaf, self._target.name, self._authorities)
            self.facts.trusted = verdict.trusted
            self.facts.trust_problem = verdict.problem
            self.facts.name_matches = verdict.name_matches
            if not verdict.trusted:
                self.facts.missing_issuer = trust.missing_issuer(
                    self.facts.chain, self._authorities
                )

    def _staple(self) -> None:
        issuers = (*self.facts.chain[1:], *self._authorities)
        with self._noting("OCSP response"):
            self.facts.staple = examine_staple(self._presented, issuers, datetime.now(UTC))

    def _suites_and_groups(self, number: int, name: str) -> None:
        with self._noting(f"suites of {name}"):
            self.facts.suites[name] = enumeration.enumerate_suites(
                self._probe, number, self._target.server_name
            )
        if number in (TLS12, TLS13):
            with self._noting(f"groups of {name}"):
                self.facts.groups[name] = enumeration.enumerate_groups(
                    self._probe, number, self._target.server_name
                )

    def _tls12_details(self) -> None:
        name = self._target.server_name
        with self._noting("signatures with SHA-1"):
            self.facts.sha1_signatures = enumeration.signs_with_sha1(self._probe, name)
        with self._noting("compression"):
            self.facts.compression = enumeration.compresses(self._probe, name)
        self.facts.not_examined["renegotiation by the client"] = "Python's ssl cannot ask for it"

    def _resumption(self) -> None:
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            name = VERSIONS[int(version)]
            if not self.facts.versions.get(name):
                continue
            with self._noting(f"resumption of {name}"):
                context = trust.lenient_context()
                context.maximum_version = context.minimum_version = version
                session = self._session(context)
                if session is None or not session.has_ticket:
                    self.facts.resumption[name] = False
                    continue
                with self._connect() as connection:
                    connection.reach_tls()
                    tls = connection.start_tls(context, session)
                    self.facts.resumption[name] = bool(tls.session_reused)

    def _session(self, context: ssl.SSLContext) -> ssl.SSLSession | None:
        """A session after the first words inside TLS, behind which TLS 1.3 sends its tickets."""
        with self._connect() as connection:
            connection.reach_tls()
            tls = connection.start_tls(context)
            if self._target.protocol is None:
                connection.send(b"HEAD / HTTP/1.0\r\n\r\n")
                connection.receive()
            else:
                greeted = self._target.starttls is not None
                connection.converse(Dialogue(self._target.protocol, upgrade=False, greeted=greeted))
            return tls.session

    def _alpn(self) -> None:
        if self._target.alpn:
            with self._noting("ALPN"):
                context = trust.lenient_context()
                context.set_alpn_protocols([self._target.alpn])
                with self._connect() as connection:
                    connection.reach_tls()
                    tls = connection.start_tls(context)
                    self.facts.alpn = tls.selected_alpn_protocol() or ""
        with self._noting("foreign ALPN"):
            answer = self._probe(self._foreign_offer())
            self.facts.foreign_alpn_refused = answer.alert == NO_APPLICATION_PROTOCOL
            if not answer.is_accepted and not self.facts.foreign_alpn_refused:
                self.facts.not_examined["foreign ALPN"] = "refused for another reason"

    def _foreign_offer(self) -> Offer:
        """An offer of a protocol that is not spoken there; OpenSSL's client hides the alert."""
        name = self._target.server_name
        if self.facts.versions.get(VERSIONS[TLS12]):
            return Offer(TLS12, server_name=name, alpn=(FOREIGN_ALPN,))
        return self._decryptable_offer(KeyPairs.generate(), alpn=(FOREIGN_ALPN,))

    def _starttls(self) -> None:
        protocol, before = self._target.starttls, self.facts.starttls
        assert protocol is not None
        assert before is not None
        inside: tuple[str, ...] | None = None
        again: bool | None = None
        executed: bool | None = None
        outcome = ""
        with self._noting("capabilities inside TLS"), self._connect() as connection:
            connection.reach_tls()
            connection.start_tls(trust.lenient_context())
            inside = injection.capabilities_inside(connection, protocol)
            again = injection.accepts_second_starttls(connection, protocol)
        with self._noting("command injection"), self._connect() as connection:
            executed, outcome = injection.executes_injected(
                connection, protocol, trust.lenient_context()
            )
        self.facts.starttls = StarttlsFacts(before.clear, inside, executed, outcome, again)

    def _connect(self) -> Connection:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise OperatorError("the examination takes too long")
        return Connection(self._target, min(self._seconds, left))

    def _probe(self, offer: Offer) -> Answer:
        with self._connect() as connection:
            connection.reach_tls()
            try:
                answer = connection.probe(offer)
            except (ConnectionResetError, BrokenPipeError):
                # Some servers refuse by closing, without an alert.
                return Answer()
            return answer

    def _handshake(self, context: ssl.SSLContext) -> None:
        with self._connect() as connection:
            connection.reach_tls()
            connection.start_tls(context)

    def _presented(self, context: ssl.SSLContext) -> bytes:
        with self._connect() as connection:
            connection.reach_tls()
            return connection.start_tls(context).getpeercert(binary_form=True) or b""

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Note what could not be examined, and why, instead of failing."""
        try:
            yield
        except (MailfrontError, OSError) as failure:
            self.facts.not_examined[what] = _reason(failure)


def _reason(failure: Exception) -> str:
    if isinstance(failure, ssl.SSLError):
        return f"OpenSSL here says: {(failure.reason or 'no reason').lower().replace('_', ' ')}"
    if isinstance(failure, TimeoutError):
        return "the server did not answer in time"
    return str(failure) or type(failure).__name__
