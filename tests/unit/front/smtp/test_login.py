"""AUTH by every mechanism, in the lines of SMTP."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from mailfront.front.login_policy import LoginPolicy
from mailfront.front.smtp import Role, SmtpSettings
from mailfront.front.smtp.login import reply_to
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.credentials import BearerCredentials, CertificateCredentials
from mailfront.interfaces.peer import TlsFacts
from mailfront.interfaces.secret import Secret
from mailfront.protocol import sasl
from mailfront.protocol.smtp import reply
from tests.support.scram_client import ScramClient, verifier_of
from tests.support.smtp_session import ALICE, PASSWORD, TLS, SmtpConversation, code_of

CERTIFIED = replace(TLS, client_certificate=ClientCertificate(b"leaf"))
EVERYTHING = LoginPolicy(mechanisms=sasl.MECHANISMS)


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


async def submission(
    tls: TlsFacts | None = CERTIFIED, policy: LoginPolicy = EVERYTHING, role: Role = Role.SUBMISSION
) -> SmtpConversation:
    client = SmtpConversation(role, SmtpSettings("mx.example.test", login=policy), tls)
    await client.replies()
    return client


async def offered(client: SmtpConversation) -> str:
    lines = await client.say("EHLO client.example")
    return next((line[4:] for line in lines if line[4:].startswith("AUTH ")), "")


async def test_every_mechanism_is_offered_where_it_can_be_used() -> None:
    assert await offered(await submission()) == "AUTH " + " ".join(sasl.MECHANISMS)
    assert "EXTERNAL" not in await offered(await submission(TLS))
    assert "PLUS" not in await offered(await submission(replace(TLS, version="TLSv1.2")))
    assert await offered(await submission(None)) == ""
    assert await offered(await submission(role=Role.MX)) == ""


async def test_external_is_offered_and_taken_after_starttls() -> None:
    client = await submission(None)
    await client.say("EHLO client.example")
    await client.say("STARTTLS")
    assert client.transport.handshake is not None
    client.transport.tls_facts = CERTIFIED
    client.transport.handshake(CERTIFIED)
    assert "EXTERNAL" in await offered(client)
    assert code_of(await client.say("AUTH EXTERNAL =")) == "235 2.7.0"
    assert client.users.asked == [CertificateCredentials("")]
    assert client.users.attempts == [("imta", "", "EXTERNAL")]


async def test_external_with_a_challenge_names_whom_to_act_as() -> None:
    client = await submission()
    await client.say("EHLO client.example")
    assert await client.say("AUTH EXTERNAL") == ["334 "]
    assert code_of(await client.say(encoded(b"bob"))) == "235 2.7.0"
    assert client.users.asked == [CertificateCredentials("bob")]


@pytest.mark.parametrize(
    "certificate", [None, ClientCertificate(b"x", fault=CertificateFault.UNTRUSTED)]
)
async def test_external_without_a_good_certificate_is_no_mechanism(
    certificate: ClientCertificate | None,
) -> None:
    client = await submission(replace(TLS, client_certificate=certificate))
    await client.say("EHLO client.example")
    assert code_of(await client.say("AUTH EXTERNAL =")) == "504 5.5.4"
    assert client.users.asked == []


async def test_where_certificates_are_the_only_door_passwords_are_refused_as_such() -> None:
    policy = LoginPolicy(password_login=False, mechanisms=sasl.MECHANISMS)
    client = await submission(policy=policy)
    assert await offered(client) == "AUTH EXTERNAL"
    plain = encoded(f"\0{ALICE}\0{PASSWORD}".encode())
    assert code_of(await client.say(f"AUTH PLAIN {plain}")) == "504 5.5.4"
    without = await submission(TLS, policy)
    assert await offered(without) == ""
    assert code_of(await without.say(f"AUTH PLAIN {plain}")) == "504 5.5.4"
    assert client.users.asked == without.users.asked == []


async def scram(client: SmtpConversation, exchange: ScramClient, *, initial: bool) -> list[str]:
    first = encoded(exchange.first())
    if initial:
        challenge = await client.say(f"AUTH SCRAM-SHA-256-PLUS {first}")
    else:
        assert await client.say("AUTH SCRAM-SHA-256-PLUS") == ["334 "]
        challenge = await client.say(first)
    last = exchange.last(base64.b64decode(challenge[0][4:]))
    return await client.say(encoded(last))


@pytest.mark.parametrize("initial", [True, False])
async def test_scram_plus_proves_both_ends(initial: bool) -> None:
    client = await submission()
    await client.say("EHLO client.example")
    client.users.verifier = verifier_of("secret")
    exchange = ScramClient(ALICE, "secret", "tls-exporter", b"tls-exporter")
    [proof] = await scram(client, exchange, initial=initial)
    assert exchange.is_server(base64.b64decode(proof[4:]))
    assert client.protocol.facts.identity is None
    assert code_of(await client.say("")) == "235 2.7.0"
    assert client.transport.record.method == "SCRAM-SHA-256-PLUS"


@pytest.mark.parametrize(("last", "code"), [("*", "501 5.7.0"), ("eA==", "501 5.5.2")])
async def test_a_client_that_does_not_believe_the_servers_proof_has_not_logged_in(
    last: str, code: str
) -> None:
    client = await submission()
    await client.say("EHLO client.example")
    client.users.verifier = verifier_of("secret")
    exchange = ScramClient(ALICE, "secret", "tls-exporter", b"tls-exporter")
    await scram(client, exchange, initial=True)
    assert code_of(await client.say(last)) == code
    assert code_of(await client.say(f"MAIL FROM:<{ALICE}>")) == "530 5.7.0"


async def test_a_wrong_proof_is_a_failed_login() -> None:
    client = await submission()
    await client.say("EHLO client.example")
    client.users.verifier = verifier_of("secret")
    exchange = ScramClient(ALICE, "wrong", "tls-exporter", b"tls-exporter")
    assert code_of(await scram(client, exchange, initial=True)) == "535 5.7.8"
    assert client.counters["submit.logins_refused"] == 1


async def test_a_directory_that_is_away_supplies_no_verifier() -> None:
    client = await submission()
    await client.say("EHLO client.example")
    first = encoded(ScramClient(ALICE, "secret", "tls-exporter").first())
    answer = await client.say(f"AUTH SCRAM-SHA-256-PLUS {first}")
    assert code_of(answer) == "454 4.7.0"


async def test_plus_taken_out_of_the_list_is_refused() -> None:
    client = await submission()
    await client.say("EHLO client.example")
    first = encoded(ScramClient(ALICE, "secret", flag="y").first())
    assert code_of(await client.say(f"AUTH SCRAM-SHA-256 {first}")) == "535 5.7.8"


async def test_a_token_logs_in_and_a_bad_one_is_explained_first() -> None:
    client = await submission()
    await client.say("EHLO client.example")
    bad = encoded(b"n,,\x01auth=Bearer wrong\x01\x01")
    [reason] = await client.say(f"AUTH OAUTHBEARER {bad}")
    assert base64.b64decode(reason[4:]) == b'{"status": "invalid_token"}'
    assert code_of(await client.say("AQ==")) == "535 5.7.8"
    good = encoded(f"n,,\x01auth=Bearer {PASSWORD}\x01\x01".encode())
    assert code_of(await client.say(f"AUTH OAUTHBEARER {good}")) == "235 2.7.0"
    assert client.users.asked[-1] == BearerCredentials("", Secret(PASSWORD))


def test_what_is_no_failure_for_good_says_so() -> None:
    assert reply_to(Refusal("", "", temporary=True)) is reply.AUTHENTICATION_UNAVAILABLE
    assert reply_to(Refusal("", "")) is reply.AUTHENTICATION_FAILED
