"""A channel logs in at its smarthost: another mailfront, as one of its users."""

from __future__ import annotations

from mailfront.channels.channel import Demand
from mailfront.interfaces.secret import Secret
from mailfront.outgoing.client_login import ClientLogin
from mailfront.outgoing.delivery_result import Outcome
from tests.conftest import NewServer
from tests.support.outgoing import deliver, deliverer, job, to_host
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer

HOST = f"[{LOOPBACK}]"
ENCRYPT = f"{HOST} encrypt\n"


async def outcome(server: MailServer, password: str, *, policy_map: str = "") -> Outcome:
    """What becomes of mail to Bob through the server, with a login as Alice."""
    login = ClientLogin(ALICE, Secret(password))
    sending = deliverer(login=lambda channel: login, policy_map=policy_map)
    hop = to_host(HOST, server.ports["submission"], sasl_client=Demand.MUST)
    result = await deliver(sending, job(hop, BOB, sender=ALICE))
    sending.close()
    assert password not in repr(result)
    return result.outcome


async def test_scram_keeps_the_password_from_a_server_that_nothing_vouches_for(
    new_server: NewServer,
) -> None:
    server = new_server({"sasl.default.mech_list": "SCRAM-SHA-256 PLAIN"})
    password = server.password(ALICE)
    file = server.root.path / "new-password"
    file.write_text(f"{password}\n")
    file.chmod(0o600)
    made = server.mailfront("user", "passwd", ALICE, "--scram", "--password-file", str(file))
    assert made.returncode == 0, made.stderr
    with server:
        assert await outcome(server, password) is Outcome.DELIVERED
        assert await outcome(server, "not the password") is Outcome.DEFERRED


async def test_plain_is_used_where_the_operator_lets_it(new_server: NewServer) -> None:
    server = new_server({"sasl.default.mech_list": "PLAIN LOGIN"})
    password = server.password(ALICE)
    with server:
        assert await outcome(server, password) is Outcome.DEFERRED
        assert await outcome(server, password, policy_map=ENCRYPT) is Outcome.DELIVERED
        wrong = await outcome(server, "not the password", policy_map=ENCRYPT)
        assert wrong is Outcome.DEFERRED
