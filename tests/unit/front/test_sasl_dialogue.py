"""A SASL exchange in lines of base64."""

from __future__ import annotations

import base64

import pytest

from mailfront.errors import SaslError, SaslFault
from mailfront.front.action import Ask
from mailfront.front.sasl_dialogue import Granted, SaslDialogue
from mailfront.interfaces.credentials import (
    BearerCredentials,
    PasswordCredentials,
    ScramCredentials,
    VerifierRequest,
)
from mailfront.interfaces.secret import Secret
from mailfront.protocol import sasl
from tests.support.login_dialogue import WRONG
from tests.support.scram_client import ScramClient, verifier_of

PLAIN = base64.b64encode(b"\0alice\0secret")
SECRET = PasswordCredentials("", "alice", Secret("secret"))


def dialogue(mechanism: str) -> SaslDialogue:
    exchange = sasl.start(mechanism, sasl.MECHANISMS, channel_binding=lambda kind: kind.encode())
    assert exchange is not None
    return SaslDialogue(exchange)


def encoded(text: str) -> bytes:
    return base64.b64encode(text.encode())


def test_plain_without_an_initial_response_asks_with_an_empty_challenge() -> None:
    plain = dialogue("PLAIN")
    assert plain.begin(None) == b""
    assert plain.line(PLAIN) == Ask(SECRET, "PLAIN")


def test_plain_with_an_initial_response_is_done_at_once() -> None:
    plain = dialogue("PLAIN")
    assert plain.begin(PLAIN) == Ask(SECRET, "PLAIN")
    assert isinstance(plain.granted(), Granted)


def test_a_refusal_of_plain_has_no_more_to_say() -> None:
    plain = dialogue("PLAIN")
    plain.begin(PLAIN)
    assert plain.refused(WRONG) == WRONG


def test_login_asks_twice() -> None:
    login = dialogue("LOGIN")
    assert login.begin(None) == encoded("Username:")
    assert login.line(b"YWxpY2U=") == encoded("Password:")
    assert login.line(b"c2VjcmV0") == Ask(SECRET, "LOGIN")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_scram_asks_twice_and_ends_when_the_client_has_heard_the_proof(mechanism: str) -> None:
    binding = "tls-exporter" if mechanism.endswith("PLUS") else ""
    client = ScramClient("alice", "secret", binding, binding.encode())
    scram = dialogue(mechanism)
    asked = scram.begin(base64.b64encode(client.first()))
    assert asked == Ask(VerifierRequest("alice"), mechanism)
    challenge = scram.supplied(verifier_of("secret"))
    assert isinstance(challenge, bytes)
    proof = scram.line(base64.b64encode(client.last(base64.b64decode(challenge))))
    assert proof == Ask(ScramCredentials("", "alice", proven=True), mechanism)
    answer = scram.granted()
    assert isinstance(answer, bytes)
    assert client.is_server(base64.b64decode(answer))
    assert isinstance(scram.line(b""), Granted)


def test_a_client_that_answers_the_servers_proof_with_words_has_not_logged_in() -> None:
    client = ScramClient("alice", "secret")
    scram = dialogue("SCRAM-SHA-256")
    scram.begin(base64.b64encode(client.first()))
    challenge = scram.supplied(verifier_of("secret"))
    assert isinstance(challenge, bytes)
    scram.line(base64.b64encode(client.last(base64.b64decode(challenge))))
    scram.granted()
    with pytest.raises(SaslError) as caught:
        scram.line(b"eA==")
    assert caught.value.kind is SaslFault.INVALID


@pytest.mark.parametrize("last", [b"AQ==", b"", b"*", b"no base64!"])
def test_a_refused_token_is_explained_and_then_refused_whatever_comes(last: bytes) -> None:
    bearer = dialogue("OAUTHBEARER")
    message = b"n,,\x01auth=Bearer tok\x01\x01"
    asked = bearer.begin(base64.b64encode(message))
    assert asked == Ask(BearerCredentials("", Secret("tok")), "OAUTHBEARER")
    reason = bearer.refused(WRONG)
    assert isinstance(reason, bytes)
    assert base64.b64decode(reason) == b'{"status": "invalid_token"}'
    assert bearer.line(last) == WRONG


@pytest.mark.parametrize(
    ("text", "kind"),
    [(b"*", SaslFault.CANCELLED), (b"?", SaslFault.MALFORMED), (b"eA==", SaslFault.INVALID)],
)
def test_a_fault_says_its_kind(text: bytes, kind: SaslFault) -> None:
    plain = dialogue("PLAIN")
    plain.begin(None)
    with pytest.raises(SaslError) as caught:
        plain.line(text)
    assert caught.value.kind is kind


def test_an_asterisk_cancels_only_a_later_line() -> None:
    with pytest.raises(SaslError) as caught:
        dialogue("PLAIN").begin(b"*")
    assert caught.value.kind is SaslFault.MALFORMED
