"""An authenticator over a directory in memory, with a clock that only its own sleep moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from mailfront.authentication.authenticate import DirectoryAuthenticator
from mailfront.authentication.certificate_login import LoginRules
from mailfront.authentication.password import PasswordChecker, hash_password
from mailfront.authentication.password_login import MAXIMUM_CHECKS
from mailfront.authentication.scram_verifier import VerifierForgery
from mailfront.authentication.throttle import ADDRESS_LIMIT, USER_LIMIT, Throttle
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import DirectoryUnavailableError, MappingRefusedError, TokenRefusedError
from mailfront.interfaces.authenticator import Identity, LoginClient, Refusal
from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.credentials import Credentials, PasswordCredentials
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Filter

RIGHT = Secret("right password")
ALICE = Entry(
    user="alice@xn--bcher-kva.example", uid="alice",
    addresses=frozenset({"alice@xn--bcher-kva.example", "a@example.test"}),
    password_values=(hash_password(RIGHT),), status=AccountStatus.ACTIVE, name="", mail_host="",
    service_access=(), line=1, end=2,
)  # fmt: skip


BOB = replace(
    ALICE, user="bob@example.test", uid="bob", addresses=frozenset({"bob@example.test"}),
    password_values=(),
)  # fmt: skip
ADMIN = replace(
    ALICE, user="admin@example.test", uid="admin", addresses=frozenset({"admin@example.test"})
)
CERTIFICATE = ClientCertificate(b"leaf")


class FewUsers:
    """A directory whose users log in by their `uid`, in any letter case, or address.

    `entry` is the first, `failure` is what a look-up raises, `verdict` what the directory itself
    says of a password; `meanwhile` happens while it judges one.
    """

    problem = ""

    def __init__(self) -> None:
        self.entry = ALICE
        self.others = [BOB, ADMIN]
        self.failure: Exception | None = None
        self.verdict: bool | Exception | None = None
        self.asked_of: list[Entry | None] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def entry_for_login(self, login: str, default_domain: str) -> Entry | None:
        if self.failure is not None:
            raise self.failure
        for entry in (self.entry, *self.others):
            if login.lower() in (entry.uid, entry.user):
                return entry
        return None

    async def entry_for_address(self, address: str) -> Entry | None:
        return self.entry if address in self.entry.addresses else None

    async def domains(self) -> frozenset[str]:
        return frozenset({"example.test"})

    async def search(
        self, base: DistinguishedName | None, condition: Filter, *, limit: int = 2
    ) -> list[Entry]:
        return [self.entry]

    async def verify_password(self, entry: Entry | None, password: Secret) -> bool | None:
        self.asked_of.append(entry)
        self.meanwhile()
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


class CountingChecker(PasswordChecker):
    """The real checker, which tells how often it was asked."""

    asked = 0

    def check(self, values: Sequence[str], password: Secret) -> Awaitable[bool]:
        self.asked += 1
        return super().check(values, password)


class OneMapping:
    """Maps what it accepts to `entry`, after `seconds`; without an entry, to nobody."""

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.failure: Exception | None = None
        self.seconds = 0.0

    async def map(self, certificate: ClientCertificate, service: str) -> Entry:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        if self.entry is None:
            raise MappingRefusedError("no entry matches")
        return self.entry

    def accepts(self, certificate: ClientCertificate) -> bool:
        return certificate.verified


class OneToken:
    """Takes one token."""

    async def user_of(self, token: Secret) -> str:
        match token.reveal():
            case "alice's":
                return "alice"
            case "stranger's":
                return "stranger"
            case "early":
                raise DirectoryUnavailableError("the keys are not known")
        raise TokenRefusedError("bad signature")


class Desk:
    """An authenticator with a clock that only its own sleep moves."""

    def __init__(self, *, rules: Mapping[str, LoginRules] | None = None, **limits: int) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.directory = FewUsers()
        self.mapper = OneMapping()
        self.checker = CountingChecker()
        waiting = limits.get("waiting", MAXIMUM_CHECKS)
        self.authenticator = DirectoryAuthenticator(
            self.directory,
            "example.test",
            mapper=self.mapper,
            tokens=OneToken(),
            forgery=VerifierForgery(b"a secret of this installation", 4096),
            administrators=(ADMIN.user,),
            rules=rules,
            throttle=Throttle(
                clock=self.clock,
                user_limit=limits.get("user_limit", USER_LIMIT),
                address_limit=limits.get("address_limit", ADDRESS_LIMIT),
            ),
            checker=self.checker,
            waiting=waiting,
            clock=self.clock,
            sleep=self.sleep,
        )

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def login(
        self, name: str = "alice", password: Secret = RIGHT, address: str = "192.0.2.1"
    ) -> Identity | Refusal:
        return await self.offer(PasswordCredentials("", name, password), address=address)

    async def offer(
        self,
        credentials: Credentials,
        *,
        method: str = "PLAIN",
        address: str = "192.0.2.1",
        certificate: ClientCertificate | None = None,
    ) -> Identity | Refusal:
        client = self.client(method, address, certificate)
        return await self.authenticator.authenticate(client, credentials)

    def client(
        self,
        method: str = "PLAIN",
        address: str = "192.0.2.1",
        certificate: ClientCertificate | None = None,
    ) -> LoginClient:
        return LoginClient("imap", Peer(address, 40000, "192.0.2.99", 993), method, certificate)

    async def refusal(self, name: str = "alice", password: Secret = RIGHT) -> Refusal:
        answer = await self.login(name, password)
        assert isinstance(answer, Refusal)
        return answer
