"""What a service presents while a token is gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore.records import CertificateRecord, Credentials, Inventory
from mailfront.keystore.trust import TrustFlags
from mailfront.server.token_contexts import load_personality_or_fallback
from mailfront.tls.context import build_server_context
from mailfront.tls.personality import ContextSlot
from mailfront.tls.policy import policy_named
from tests.support.authority import self_signed

OWN = self_signed("own")
LIBRARY = Path("/opt/module.so")


class Source:
    """`own` in the database, `HSM:x` on a token that may be gone."""

    def __init__(self, *, token_is_gone: bool = False) -> None:
        self.token_is_gone = token_is_gone

    def require(self, nickname: str) -> CertificateRecord:
        on_token = nickname.startswith("HSM:")
        if on_token and self.token_is_gone:
            raise TokenError("the token is gone", temporary=True)
        if nickname == "unknown":
            raise KeystoreError("there is none")
        token = {"token": "HSM"} if on_token else {}
        return CertificateRecord(nickname, OWN.certificate, (), TrustFlags.USER, True, **token)

    def credentials(self, nickname: str) -> Credentials:
        return Credentials(nickname, OWN.certificate, b"", b"", b"", LIBRARY)

    def inventory(self) -> Inventory:
        return Inventory((), ())


class Loading:
    """Loads into the slot, unless a token does not sign."""

    def __init__(self, slot: ContextSlot, *, signs: bool = True) -> None:
        self.slot = slot
        self.signs = signs
        self.loaded: list[tuple[str, ...]] = []

    def __call__(self, nicknames: Sequence[str]) -> bool:
        if any(each.startswith("HSM:") for each in nicknames) and not self.signs:
            raise TokenError("the token does not sign", temporary=True)
        self.loaded.append(tuple(nicknames))
        self.slot.current = build_server_context(
            [OWN], policy_named("intermediate"), alpn=(), tickets=False
        )
        return True


@pytest.fixture
def slot() -> ContextSlot:
    return ContextSlot("imap", ("imap",))


def test_with_its_token_there_a_service_presents_what_is_wanted(slot: ContextSlot) -> None:
    loading = Loading(slot)
    outcome = load_personality_or_fallback(slot, Source(), ["HSM:x", "own"], ["other"], loading)
    assert loading.loaded == [("HSM:x", "own")]
    assert outcome.changed
    assert not slot.degraded


def test_without_it_the_rest_of_the_personality_comes_before_the_fallback(
    slot: ContextSlot,
) -> None:
    loading = Loading(slot)
    source = Source(token_is_gone=True)
    outcome = load_personality_or_fallback(slot, source, ["HSM:x", "own"], ["other"], loading)
    assert loading.loaded == [("own",)]
    assert slot.degraded
    assert "presents own alone" in slot.problem
    assert outcome.broken == frozenset()


def test_where_nothing_is_left_the_fallback_is_presented(slot: ContextSlot) -> None:
    loading = Loading(slot)
    source = Source(token_is_gone=True)
    load_personality_or_fallback(slot, source, ["HSM:x"], ["other"], loading)
    assert loading.loaded == [("other",)]
    assert slot.is_ready()


def test_where_there_is_no_fallback_nothing_is_presented(slot: ContextSlot) -> None:
    loading = Loading(slot)
    load_personality_or_fallback(slot, Source(), ["HSM:x"], [], loading)
    outcome = load_personality_or_fallback(slot, Source(token_is_gone=True), ["HSM:x"], [], loading)
    assert outcome.changed
    assert not slot.is_ready()
    assert "answers no TLS handshakes" in slot.problem
    load_personality_or_fallback(slot, Source(), ["HSM:x"], [], loading)
    assert slot.is_ready()
    assert not slot.degraded


def test_a_module_whose_token_is_there_and_does_not_sign_is_told(slot: ContextSlot) -> None:
    loading = Loading(slot, signs=False)
    outcome = load_personality_or_fallback(slot, Source(), ["HSM:x"], ["other"], loading)
    assert outcome.broken == {LIBRARY}
    assert loading.loaded == [("other",)]


def test_other_faults_are_raised_as_ever(slot: ContextSlot) -> None:
    def load(nicknames: Sequence[str]) -> bool:
        raise KeystoreError("there is none")

    with pytest.raises(KeystoreError, match="there is none"):
        load_personality_or_fallback(slot, Source(), ["unknown"], ["own"], load)
