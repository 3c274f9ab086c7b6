"""The backend that notes logins before it serves them."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from mailfront.backend.login_noting import LoginNoting
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.backend import LOGOUT, AuthenticatedSession
from mailfront.interfaces.peer import Peer, TlsFacts

TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, resumed=False, nickname="cert")
ALICE = "alice@example.test"


class Noted:
    def __init__(self) -> None:
        self.logins: list[tuple[str, str, frozenset[str]]] = []

    def note(self, address: str, user: str, addresses: frozenset[str]) -> None:
        self.logins.append((address, user, addresses))

    async def knows(self, address: str) -> bool:
        raise NotImplementedError

    async def user_of(self, address: str, sender: str) -> str | None:
        raise NotImplementedError


class Served:
    async def serve(self, session: AuthenticatedSession) -> str:
        return LOGOUT


@pytest.mark.parametrize(
    ("tls", "acting", "forwarded", "counts"),
    [
        (TLS, "", False, True),
        (None, "", False, False),
        (TLS, "admin@example.test", False, False),
        # Its client may have had no TLS.
        (TLS, "", True, False),
    ],
)
async def test_a_login_over_tls_counts(
    tls: TlsFacts | None, acting: str, forwarded: bool, counts: bool
) -> None:
    noted = Noted()
    session = AuthenticatedSession(
        transport=cast(asyncio.Transport, None),
        identity=Identity(ALICE, frozenset({ALICE}), "PLAIN", acting=acting),
        tag=b"",
        leftover=b"",
        peer=Peer("192.0.2.7", 40000, "192.0.2.1", 995),
        tls=tls,
        idle_timeout=60,
        is_forwarded=forwarded,
    )
    assert await LoginNoting(Served(), noted).serve(session) == LOGOUT
    assert noted.logins == ([("192.0.2.7", ALICE, frozenset({ALICE}))] if counts else [])
