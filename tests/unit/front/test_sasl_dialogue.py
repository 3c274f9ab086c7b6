"""A SASL exchange in lines of base64."""

from __future__ import annotations

import base64

import pytest

from mailfront.errors import SaslError, SaslFault
from mailfront.front.action import CheckPassword
from mailfront.front.sasl_dialogue import SaslDialogue
from mailfront.interfaces.secret import Secret
from mailfront.protocol import sasl

PLAIN = base64.b64encode(b"\0alice\0secret")


def dialogue(mechanism: str) -> SaslDialogue:
    exchange = sasl.start(mechanism)
    assert exchange is not None
    return SaslDialogue(exchange)


def test_plain_without_an_initial_response_asks_with_an_empty_challenge() -> None:
    plain = dialogue("PLAIN")
    assert plain.begin(None) == b""
    assert plain.line(PLAIN) == CheckPassword("alice", Secret("secret"), "PLAIN")


def test_plain_with_an_initial_response_is_done_at_once() -> None:
    assert dialogue("PLAIN").begin(PLAIN) == CheckPassword("alice", Secret("secret"), "PLAIN")


def test_login_asks_twice() -> None:
    login = dialogue("LOGIN")
    assert login.begin(None) == base64.b64encode(b"Username:")
    assert login.line(b"YWxpY2U=") == base64.b64encode(b"Password:")
    assert login.line(b"c2VjcmV0") == CheckPassword("alice", Secret("secret"), "LOGIN")


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
