"""Which keys sign what goes out: those that the options name, as the keystore holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.interfaces.message_sink import Envelope
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.outgoing.dkim.keys import key_name, new_key
from mailfront.outgoing.sink import OctetMessage
from mailfront.server.dkim_signing import DkimSigning
from tests.support.keystores import CHEAP

MESSAGE = OctetMessage(b"From: alice@example.test\r\n\r\nHello\r\n")
ENVELOPE = Envelope("alice@example.test", ("bob@example.org",), "alice@example.test")
BOTH = Configuration.of({"dkim.selectors": "example.test:one,example.test:two"})


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with InternalToken.create(tmp_path / "db", Secret("password"), cost=CHEAP) as made:
        made.add_pending_key(key_name("example.test", "one"), new_key("ed25519"))
        yield made


async def test_without_the_option_nothing_is_signed(token: InternalToken) -> None:
    signing = DkimSigning(Configuration.of({}), token)
    assert await signing.sign(ENVELOPE, MESSAGE) == b""


async def test_a_key_that_is_missing_is_a_problem_and_the_others_sign(token: InternalToken) -> None:
    signing = DkimSigning(BOTH, token)
    assert (await signing.sign(ENVELOPE, MESSAGE)).count(b"DKIM-Signature") == 1
    assert len(signing.problems) == 1
    assert "example.test:two" in signing.problems[0]


async def test_keys_follow_the_keystore(token: InternalToken) -> None:
    signing = DkimSigning(BOTH, token)
    token.add_pending_key(key_name("example.test", "two"), new_key("ed25519"))
    token.remove(key_name("example.test", "one"))
    signing.follow(token)
    fields = await signing.sign(ENVELOPE, MESSAGE)
    assert b"s=two;" in fields
    assert b"s=one;" not in fields


def test_an_item_that_names_no_key_is_refused(token: InternalToken) -> None:
    with pytest.raises(ConfigurationError):
        DkimSigning(Configuration.of({"dkim.selectors": "example.test"}), token)


async def test_a_user_of_another_domain_gets_no_signature(token: InternalToken) -> None:
    signing = DkimSigning(BOTH, token)
    assert await signing.sign(Envelope("m@example.org", ("bob@example.net",)), MESSAGE) == b""
