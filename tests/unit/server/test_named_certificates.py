"""What is told of certificates that clients are shown by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.keystore.internal_token import InternalToken
from mailfront.server.certificates import ALPN, ServiceContexts
from mailfront.server.named_certificates import (
    MAXIMUM_LISTED,
    bounded,
    needing_attention,
    server_names_status,
)
from tests.support.keystores import new_token
from tests.support.server_names import KEY, certificate

NOW = datetime.now(UTC)


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as opened:
        add(opened, "Server-Cert", days=5)
        yield opened


def add(token: InternalToken, nickname: str, days: float = 90, *, expired: bool = False) -> None:
    begins = NOW - timedelta(days=days + 9) if expired else None
    made = certificate(f"{nickname.lower()}.example.test", days=days, begins=begins)
    token.add_key_and_certificate(nickname, KEY, (made,))


def loaded(token: InternalToken, contexts: ServiceContexts | None = None) -> ServiceContexts:
    contexts = contexts or ServiceContexts(ALPN)
    contexts.load(Configuration.of({}), token)
    return contexts


def test_those_that_a_service_presents_are_not_told_again(token: InternalToken) -> None:
    contexts = loaded(token)
    assert needing_attention(contexts, NOW) == []
    assert server_names_status(contexts, NOW) is None


def test_those_near_their_end_are_told_the_next_first(token: InternalToken) -> None:
    add(token, "fine")
    add(token, "soon", days=29)
    add(token, "sooner", days=3)
    add(token, "over", days=20, expired=True)
    contexts = loaded(token)
    told = needing_attention(contexts, NOW)
    assert [each.nickname for each in told] == ["over", "sooner", "soon"]
    assert {each.services for each in told} == {("sni",)}
    status = server_names_status(contexts, NOW)
    assert status is not None
    assert (status.certificates, status.names) == (4, 5)
    assert (status.expiring, status.expired, status.refused) == (2, 1, 0)
    assert status.next_expiry == told[0].expires


def test_a_refused_successor_is_told_with_both_fingerprints(token: InternalToken) -> None:
    add(token, "tenant")
    contexts = loaded(token)
    before = token.require("tenant").sha256
    token.replace("tenant", (certificate("other.example.test"),))
    loaded(token, contexts)
    [told] = needing_attention(contexts, NOW)
    wanted = token.require("tenant").sha256
    assert (told.fingerprint, told.keystore_fingerprint) == (before, wanted)
    status = server_names_status(contexts, NOW)
    assert status is not None
    assert status.refused == 1
    [problem] = contexts.problems()
    assert f"served {before[:11]}, keystore {wanted[:11]}" in problem


def test_turned_off_there_is_nothing_to_tell(token: InternalToken) -> None:
    add(token, "soon", days=3)
    contexts = loaded(token)
    contexts.load(Configuration.of({"local.service.ssl.sni": "no"}), token)
    assert needing_attention(contexts, NOW) == []
    assert server_names_status(contexts, NOW) is None


def test_the_list_is_bounded_but_for_services(token: InternalToken) -> None:
    add(token, "soon", days=3)
    [one] = needing_attention(loaded(token), NOW)
    assert len(bounded([one] * 5000)) == MAXIMUM_LISTED


def test_the_choice_is_due_when_one_of_several_ends(token: InternalToken) -> None:
    for nickname in ("a", "b"):
        made = certificate("shared.example.test", days=10 if nickname == "a" else 20)
        token.add_key_and_certificate(nickname, KEY, (made,))
    contexts = loaded(token)
    assert not contexts.choice_is_due(NOW)
    assert contexts.choice_is_due(NOW + timedelta(days=11))
    [warning] = contexts.warnings()
    assert warning.startswith("'a' and 'b' (both ec) are for shared.example.test: ")
