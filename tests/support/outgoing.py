"""Delivery to other servers as the tests ask for it: a deliverer, a channel, a message, a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cryptography import x509

from mailfront.channels.channel import Channel, Demand
from mailfront.errors import DnsUnavailableError, KeystoreError
from mailfront.interfaces.message_sink import Envelope, MailOptions, RecipientOptions
from mailfront.keystore.records import Credentials
from mailfront.outgoing.client_contexts import ClientContexts
from mailfront.outgoing.deliverer import SmtpDeliverer
from mailfront.outgoing.delivery_result import DeliveryJob, RecipientResult
from mailfront.outgoing.mail_exchangers import Lookup
from mailfront.outgoing.ourselves import Ourselves
from mailfront.outgoing.policy_map import parse_policy_map
from mailfront.outgoing.resolver import Answer
from mailfront.outgoing.transport_policy import PolicySource, StsPolicy, TlsResult

CONTENT = b"From: <a@us.test>\r\nSubject: a test\r\n\r\n.hidden dot\r\nlast line\r\n"
SENDER, RECIPIENT = "a@us.test", "alice@example.test"


@dataclass(frozen=True)
class MemoryMessage:
    """A message in memory, in pieces of a given size."""

    content: bytes = CONTENT
    piece: int = 1 << 20

    @property
    def size(self) -> int:
        return len(self.content)

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.content), self.piece):
            yield self.content[start : start + self.piece]


@dataclass(frozen=True)
class Hop:
    """A next hop."""

    channel: Channel
    domain: str


class NoDns:
    """A DNS of which nothing can be learnt."""

    async def lookup(self, name: str, kind: str) -> Answer:
        raise DnsUnavailableError(f"{kind} of {name} is not to be asked for")


@dataclass
class MemoryDns:
    """Answers by name and type; a name that has none does not exist."""

    answers: Mapping[tuple[str, str], Answer] = field(default_factory=dict)

    async def lookup(self, name: str, kind: str) -> Answer:
        known = {each for each, _ in self.answers}
        return self.answers.get((name, kind), Answer(name, exists=name in known))


@dataclass
class Reports:
    """Keeps results."""

    results: list[TlsResult] = field(default_factory=list)

    def record(self, result: TlsResult) -> None:
        self.results.append(result)


@dataclass
class Policies:
    """MTA-STS policies by domain."""

    policies: dict[str, StsPolicy] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    async def policy_for(self, domain: str) -> StsPolicy | None:
        return self.policies.get(domain)

    def validation_failed(self, domain: str) -> None:
        self.failed.append(domain)


def channel(demand: Demand = Demand.MAY, port: int = 25, **more: object) -> Channel:
    """A channel to other servers."""
    made = Channel(
        name="tcp_local", official_host="TCP-DAEMON", line=1, tls_client=demand, port=port
    )
    return replace(made, **more)  # type: ignore[arg-type]


def to_host(host: str, port: int, demand: Demand = Demand.MAY, **more: object) -> Hop:
    """The hop of a channel whose daemon is `host`."""
    return Hop(channel(demand, port, daemon=host, **more), "example.test")


def deliverer(
    dns: Lookup | None = None,
    authorities: tuple[x509.Certificate, ...] = (),
    *,
    policies: PolicySource | None = None,
    reports: Reports | None = None,
    policy_map: str = "",
    credentials: Callable[[str], Credentials] | None = None,
    **more: object,
) -> SmtpDeliverer:
    """A deliverer that trusts `authorities`."""
    entries = parse_policy_map(policy_map)
    return SmtpDeliverer(
        hello="us.test",
        dns=dns or NoDns(),
        contexts=ClientContexts(lambda: authorities, credentials or no_certificate),
        ourselves=Ourselves.of({"us.test"}),
        policies=policies or Policies(),
        reports=reports or Reports(),
        policy_map=lambda: entries,
        **more,  # type: ignore[arg-type]
    )


def job(
    hop: Hop,
    *recipients: str,
    content: bytes = CONTENT,
    options: MailOptions | None = None,
    recipient_options: dict[str, RecipientOptions] | None = None,
    sender: str = SENDER,
) -> DeliveryJob:
    """A message for `recipients` (default: one)."""
    envelope = Envelope(
        sender,
        recipients or (RECIPIENT,),
        options=options or MailOptions(),
        recipient_options=recipient_options or {},
    )
    return DeliveryJob("test", envelope, MemoryMessage(content), hop)


async def deliver(sending: SmtpDeliverer, work: DeliveryJob) -> RecipientResult:
    """Deliver to the job's one recipient."""
    results = await sending.deliver(work)
    (result,) = results.values()
    return result


def no_certificate(nickname: str) -> Credentials:
    """A keystore without certificates."""
    raise KeystoreError(f"no certificate {nickname}")
