"""Delivery to servers of every kind: what is said to them, and what becomes of the mail."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from mailfront.channels.channel import Demand
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.interfaces.secret import Secret
from mailfront.outgoing.client_login import ClientLogin
from mailfront.outgoing.delivery_result import Outcome
from mailfront.outgoing.smtp_session import Timeouts
from mailfront.outgoing.transport_policy import ResultType
from tests.support.authority import self_signed
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.outgoing import RECIPIENT, Reports, deliver, deliverer, job, to_host
from tests.support.ports import LOOPBACK, free_ports
from tests.support.scram_client import SALT, verifier_of
from tests.support.scripted_smtp import OFFER, Script, ScriptedServer

DELIVERED, DEFERRED, FAILED = Outcome.DELIVERED, Outcome.DEFERRED, Outcome.FAILED
HOST = f"[{LOOPBACK}]"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    directory: Path = tmp_path_factory.mktemp("certificate")
    issued = Issuer().issue("scripted.test")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(
        certificate_pem_file(directory / "chain", issued.chain),
        key_pem_file(directory / "key", issued.key),
    )
    return made


ENCRYPT = f"{HOST} encrypt\n"


@pytest.mark.parametrize("demand", [Demand.MAY, Demand.MUST])
async def test_a_server_without_starttls_gets_mail_in_clear_only_under_maytls(
    demand: Demand,
) -> None:
    reports = Reports()
    async with ScriptedServer(Script()) as server:
        sending = deliverer(reports=reports)
        result = await deliver(sending, job(to_host(HOST, server.port, demand)))
        sending.close()
    assert result.outcome is (DELIVERED if demand is Demand.MAY else DEFERRED), result
    assert server.tls == ([False] if demand is Demand.MAY else [])
    assert [each.result for each in reports.results] == [ResultType.STARTTLS_NOT_SUPPORTED]


@pytest.mark.parametrize("demand", [Demand.MAY, Demand.MUST])
async def test_a_server_whose_tls_is_broken_gets_mail_in_clear_only_under_maytls(
    demand: Demand, context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(Script(context, breaks_tls=True)) as server:
        sending = deliverer()
        result = await deliver(sending, job(to_host(HOST, server.port, demand)))
        sending.close()
    assert result.outcome is (DELIVERED if demand is Demand.MAY else DEFERRED), result
    assert server.tls == ([False] if demand is Demand.MAY else [])
    assert ("in clear, for its TLS fails" in caplog.text) is (demand is Demand.MAY)


@pytest.mark.parametrize("demand", [Demand.MAY, Demand.MUST])
async def test_replies_injected_behind_the_go_ahead_end_the_session_and_nothing_goes_in_clear(
    demand: Demand, context: ssl.SSLContext
) -> None:
    script = Script(context, inject=b"250-scripted.test\r\n250 8BITMIME\r\n")
    async with ScriptedServer(script) as server:
        result = await deliver(deliverer(), job(to_host(HOST, server.port, demand)))
    assert result.outcome is DEFERRED
    assert server.messages == []
    assert len(server.sessions) == 1


async def test_what_was_offered_in_clear_is_forgotten_inside_tls(context: ssl.SSLContext) -> None:
    async with ScriptedServer(Script(context, tls_offer=())) as server:
        sending = deliverer(policy_map=ENCRYPT)
        result = await deliver(sending, job(to_host(HOST, server.port)))
        sending.close()
    assert (result.outcome, result.relayed, server.tls) == (DELIVERED, True, [True])
    assert "MAIL FROM:<a@us.test>" in server.sessions[0]


async def test_starttls_refused_for_the_moment_is_no_reason_for_clear_text_where_tls_is_demanded(
    context: ssl.SSLContext,
) -> None:
    script = Script(context)
    script.replies["STARTTLS"] = ["454 4.7.0 not now"]
    script = replace(script, context=None, offer=(*OFFER, "STARTTLS"))
    async with ScriptedServer(script) as server:
        sending = deliverer(policy_map=ENCRYPT)
        refused = await deliver(sending, job(to_host(HOST, server.port)))
        sent = await deliver(deliverer(), job(to_host(HOST, server.port)))
    assert (refused.outcome, sent.outcome, server.tls) == (DEFERRED, DELIVERED, [False])


@pytest.mark.parametrize("offer", [OFFER, OFFER[1:]])
async def test_each_recipient_has_its_own_answer(offer: tuple[str, ...]) -> None:
    script = Script(offer=offer)
    script.replies["RCPT"] = ["250 ok", "450 4.2.0 greylisted", "550 5.1.1 nobody"]
    async with ScriptedServer(script) as server:
        sending = deliverer()
        hop = to_host(HOST, server.port)
        results = await sending.deliver(job(hop, "a@x.test", "b@x.test", "c@x.test"))
        sending.close()
    assert [each.outcome for each in results.values()] == [DELIVERED, DEFERRED, FAILED]
    assert server.messages[0].endswith(b"\r\n\r\n..hidden dot\r\nlast line\r\n")


@pytest.mark.parametrize("offer", [OFFER, OFFER[1:]])
@pytest.mark.parametrize(
    ("verb", "reply", "outcome"),
    [
        ("GREETING", "554 5.3.2 no", FAILED),
        ("GREETING", "421 4.3.2 not now", DEFERRED),
        ("MAIL", "451 4.3.0 not now", DEFERRED),
        ("MAIL", "550 5.7.1 never", FAILED),
        ("MAIL", "421 4.3.0 going down", DEFERRED),
        ("RCPT", "450 4.2.0 greylisted", DEFERRED),
        ("RCPT", "550 5.1.1 nobody", FAILED),
        ("RCPT", "552 5.5.3 too many recipients", DEFERRED),
        ("DATA", "451 4.3.0 not now", DEFERRED),
        ("DATA", "554 5.5.1 never", FAILED),
        ("DATA", "250 2.0.0 strange", DEFERRED),
        ("END", "451 4.3.0 not now", DEFERRED),
        ("END", "554 5.6.0 never", FAILED),
        ("END", "421 4.3.0 going down", DEFERRED),
        ("END", "this is no reply", DEFERRED),
        ("RCPT", "nor is this", DEFERRED),
        ("EHLO", "421 4.3.2 not now", DEFERRED),
    ],
)
async def test_every_reply_decides_what_becomes_of_the_mail(
    verb: str, reply: str, outcome: Outcome, offer: tuple[str, ...]
) -> None:
    script = Script(offer=offer)
    script.replies[verb] = [reply]
    async with ScriptedServer(script) as server:
        sending = deliverer()
        result = await deliver(sending, job(to_host(HOST, server.port)))
        sending.close()
    assert result.outcome is outcome, result


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA", "END"])
async def test_a_server_that_hangs_up_is_tried_again_later(verb: str) -> None:
    async with ScriptedServer(Script(hang_up=frozenset({verb}))) as server:
        result = await deliver(deliverer(), job(to_host(HOST, server.port)))
    assert result.outcome is DEFERRED
    assert ("may arrive twice" in result.text) is (verb == "END")
    assert result.host_down is (verb != "END")


async def test_a_server_that_says_nothing_costs_no_more_than_its_time() -> None:
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), LOOPBACK, 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        sending = deliverer(timeouts=Timeouts(command=0.2))
        result = await deliver(sending, job(to_host(HOST, port)))
    assert (result.outcome, result.host_down) == (DEFERRED, True)
    assert "no answer in time" in result.text


async def test_a_port_that_nobody_listens_at_is_tried_again_later() -> None:
    (port,) = free_ports(1)
    result = await deliver(deliverer(), job(to_host(HOST, port)))
    assert (result.outcome, result.host_down) == (DEFERRED, True)
    assert result.text.endswith("Connection refused")


async def test_a_refusal_in_the_middle_of_a_large_message_is_heard() -> None:
    content = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 200_000
    async with ScriptedServer(Script(offer=("PIPELINING",), refuses_at=100_000)) as server:
        result = await deliver(deliverer(), job(to_host(HOST, server.port), content=content))
    assert result.outcome in {FAILED, DEFERRED}
    assert server.messages == []


async def test_a_large_message_arrives_octet_for_octet() -> None:
    content = b"Subject: large\r\n\r\n" + (b".y" * 35 + b"\r\n") * 50_000
    async with ScriptedServer(Script(offer=("PIPELINING",))) as server:
        sending = deliverer()
        result = await deliver(sending, job(to_host(HOST, server.port), content=content))
        sending.close()
    assert result.outcome is DELIVERED
    assert server.messages == [content.replace(b"\r\n.", b"\r\n..")]


async def test_messages_that_follow_at_once_share_a_connection() -> None:
    async with ScriptedServer(Script()) as server:
        sending = deliverer()
        for _ in range(3):
            assert (await deliver(sending, job(to_host(HOST, server.port)))).outcome is DELIVERED
        sending.close()
        assert len(server.sessions) == 1
    assert len(server.messages) == 3


async def test_a_kept_connection_that_the_server_ends_is_replaced_by_a_new_one() -> None:
    script = Script()
    script.replies["MAIL"] = ["250 ok", "421 4.4.2 too long idle", "250 ok"]
    async with ScriptedServer(script) as server:
        sending = deliverer()
        for _ in range(2):
            assert (await deliver(sending, job(to_host(HOST, server.port)))).outcome is DELIVERED
        sending.close()
    assert len(server.sessions) == 2


async def test_an_old_server_is_spoken_to_with_helo() -> None:
    script = Script()
    script.replies["EHLO"] = ["502 5.5.1 what"]
    async with ScriptedServer(script) as server:
        sending = deliverer()
        result = await deliver(sending, job(to_host(HOST, server.port)))
        sending.close()
    assert (result.outcome, result.relayed) == (DELIVERED, True)
    assert server.sessions[0][1] == "HELO us.test"


@pytest.mark.parametrize(
    ("content", "options", "lacks", "status"),
    [
        (b"Subject: x\r\n\r\ngr\xc3\xbcn\r\n", MailOptions(eight_bit=True), "8BITMIME", "5.6.1"),
        (b"Subject: gr\xc3\xbcn\r\n\r\nx\r\n", MailOptions(utf8=True), "SMTPUTF8", "5.6.7"),
        (b"Subject: x\r\n\r\n" + b"x" * 990 + b"\r\n", MailOptions(), "SIZE 1000000", "5.3.4"),
    ],
)
async def test_a_message_goes_only_to_a_server_that_takes_what_it_needs(
    content: bytes, options: MailOptions, lacks: str, status: str
) -> None:
    offer = [each for each in OFFER if each != lacks]
    if lacks.startswith("SIZE"):
        offer.append("SIZE 500")
    async with ScriptedServer(Script(offer=offer)) as server:
        hop = to_host(HOST, server.port)
        result = await deliver(deliverer(), job(hop, content=content, options=options))
    assert (result.outcome, result.status, server.messages) == (FAILED, status, [])
    async with ScriptedServer(Script()) as server:
        sending = deliverer()
        hop = to_host(HOST, server.port)
        result = await deliver(sending, job(hop, content=content, options=options))
        sending.close()
    assert result.outcome is DELIVERED


async def test_requiretls_is_passed_on_to_a_verified_server_that_offers_it(
    tmp_path: Path,
) -> None:
    issuer = Issuer()
    issued = issuer.issue("localhost")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(
        certificate_pem_file(tmp_path / "chain", issued.chain),
        key_pem_file(tmp_path / "key", issued.key),
    )
    script = Script(made, tls_offer=(*OFFER, "REQUIRETLS"))
    async with ScriptedServer(script) as server:
        sending = deliverer(authorities=(issuer.root,))
        hop = to_host("localhost", server.port)
        result = await deliver(sending, job(hop, options=MailOptions(require_tls=True)))
        untrusting = deliverer()
        refused = await deliver(untrusting, job(hop, options=MailOptions(require_tls=True)))
        sending.close()
    assert (result.outcome, refused.outcome) == (DELIVERED, DEFERRED), (result, refused)
    assert any(each.startswith("MAIL") and "REQUIRETLS" in each for each in server.sessions[-2])


async def test_a_channel_shows_its_certificate_to_a_server_that_asks_for_one(
    tmp_path: Path,
) -> None:
    ours = self_signed("outgoing")
    issued = Issuer().issue("scripted.test")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(
        certificate_pem_file(tmp_path / "chain", issued.chain),
        key_pem_file(tmp_path / "key", issued.key),
    )
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=ours.chain_pem.decode())
    async with ScriptedServer(Script(made)) as server:
        sending = deliverer(policy_map=ENCRYPT, credentials={"outgoing": ours}.__getitem__)
        shown = to_host(HOST, server.port, client_certificate="outgoing")
        sent = await deliver(sending, job(shown))
        withheld = await deliver(sending, job(to_host(HOST, server.port)))
        sending.close()
    assert (sent.outcome, withheld.outcome) == (DELIVERED, DEFERRED), (sent, withheld)


async def test_a_certificate_that_the_keystore_lacks_makes_the_mail_wait(
    context: ssl.SSLContext,
) -> None:
    async with ScriptedServer(Script(context)) as server:
        hop = to_host(HOST, server.port, client_certificate="gone")
        result = await deliver(deliverer(), job(hop))
    assert (result.outcome, result.status, server.messages) == (DEFERRED, "4.3.5", [])


async def test_parameters_of_notifications_go_where_they_are_offered() -> None:
    recipients = {RECIPIENT: RecipientOptions(frozenset({"FAILURE", "DELAY"}), "rfc822;a@b.test")}
    options = MailOptions(return_content="HDRS", envelope_id="some+2Bid")
    async with ScriptedServer(Script()) as server:
        sending = deliverer()
        hop = to_host(HOST, server.port)
        await deliver(sending, job(hop, options=options, recipient_options=recipients))
        sending.close()
    (session,) = server.sessions
    assert session[1].endswith(" RET=HDRS ENVID=some+2Bid")
    assert session[2].endswith(" NOTIFY=DELAY,FAILURE ORCPT=rfc822;a@b.test")


LOGIN = ClientLogin("relay", Secret("a good password"))


async def test_the_password_is_told_inside_tls_alone(context: ssl.SSLContext) -> None:
    offer = (*OFFER, "AUTH PLAIN LOGIN")
    script = Script(context, offer=offer)
    script.replies["AUTH"] = ["235 2.7.0 welcome"]
    async with ScriptedServer(script) as server:
        hop = to_host(HOST, server.port, sasl_client=Demand.MUST)
        unverified = deliverer(login=lambda channel: LOGIN)
        refused = await deliver(unverified, job(hop))
        sending = deliverer(login=lambda channel: LOGIN, policy_map=ENCRYPT)
        sent = await deliver(sending, job(hop))
        sending.close()
    assert (refused.outcome, refused.status) == (DEFERRED, "4.7.8")
    assert sent.outcome is DELIVERED
    assert not any(each.startswith("AUTH") for each in server.sessions[0])
    said = next(each for each in server.sessions[1] if each.startswith("AUTH PLAIN "))
    assert base64.b64decode(said.split()[2]) == b"\0relay\0a good password"


async def test_a_refused_login_defers_and_is_never_passed_over(context: ssl.SSLContext) -> None:
    script = Script(context, offer=(*OFFER, "AUTH PLAIN"))
    script.replies["AUTH"] = ["535 5.7.8 wrong"]
    async with ScriptedServer(script) as server:
        hop = to_host(HOST, server.port, sasl_client=Demand.MAY)
        sending = deliverer(login=lambda channel: LOGIN, policy_map=ENCRYPT)
        result = await deliver(sending, job(hop))
    assert (result.outcome, server.messages) == (DEFERRED, [])
    assert "a good password" not in repr(result)


async def test_scram_serves_where_nothing_vouches_for_the_server(context: ssl.SSLContext) -> None:
    assert verifier_of("a good password", salt=SALT).salt == SALT
    script = Script(context, offer=(*OFFER, "AUTH PLAIN SCRAM-SHA-256"))
    script.replies["AUTH"] = ["334 " + base64.b64encode(b"r=another,s=AAAA,i=4096").decode()]
    async with ScriptedServer(script) as server:
        hop = to_host(HOST, server.port, sasl_client=Demand.MAY)
        result = await deliver(deliverer(login=lambda channel: LOGIN), job(hop))
    # It does not repeat our nonce: no server that knows us.
    assert (result.outcome, result.status) == (DEFERRED, "4.7.8")
    assert any(each.startswith("AUTH SCRAM-SHA-256 ") for each in server.sessions[0])
