"""All sessions of one user. With real clients: tests/integration/test_moving_users.py."""

from __future__ import annotations

from typing import cast

import pytest

from mailfront.directory.directory import Directory
from mailfront.errors import DirectoryUnavailableError
from mailfront.front.http.sessions import SessionTable
from mailfront.interfaces.authenticator import Identity
from mailfront.listener.service_port import ServicePort
from mailfront.server.user_sessions import end_sessions

ANN = "ann@example.test"


class Port:
    def stop_user(self, user: str) -> int:
        return 2 if user == ANN else 0


class Users:
    """Ann alone, with a further address."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away

    async def entry_for_address(self, address: str) -> object:
        if self.away:
            raise DirectoryUnavailableError("away")
        return type("Entry", (), {"user": ANN}) if address.startswith("ann") else None


async def kicked(address: str, *, away: bool = False) -> dict[str, object]:
    webmail = SessionTable(idle_timeout=60, lifetime=60, limit=9)
    for user in (ANN, "bob@example.test"):
        webmail.open(Identity(user, frozenset({user}), "PASSWORD"))
    port = cast(ServicePort, Port())
    return await end_sessions(address, cast(Directory, Users(away=away)), [port, port], webmail)


@pytest.mark.parametrize("address", [ANN, "Ann@Example.Test", "ann.alias@example.test"])
async def test_every_address_of_a_user_names_their_sessions(address: str) -> None:
    assert await kicked(address) == {"user": ANN, "ended": 5}


async def test_without_the_directory_the_main_address_does() -> None:
    assert await kicked(ANN, away=True) == {"user": ANN, "ended": 5}
    assert await kicked("ann.alias@example.test", away=True) == {
        "user": "ann.alias@example.test", "ended": 0,
    }  # fmt: skip


async def test_a_stranger_has_no_sessions_and_nonsense_is_told() -> None:
    assert await kicked("carol@example.test") == {"user": "carol@example.test", "ended": 0}
    assert "error" in await kicked("no address")
