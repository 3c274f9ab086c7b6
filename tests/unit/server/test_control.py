"""One question and one answer over the local control socket."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailfront.errors import OperatorError
from mailfront.server.control import Answer, ControlServer, ask_server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # Longer than the name of a Unix socket may be.
    deep = tmp_path / ("d" * 120) / "run"
    deep.mkdir(parents=True)
    return deep / "control.sock"


@pytest.fixture
async def server(path: Path) -> AsyncIterator[ControlServer]:
    async def status() -> Answer:
        return {"ports": [1, 2]}

    async def kick(address: str) -> Answer:
        return {"user": address}

    started = ControlServer(path, {"status": status}, {"kick": kick})
    await started.start()
    yield started
    await started.stop()


async def ask(path: Path, request: str) -> Answer:
    return await asyncio.to_thread(ask_server, path, request)


async def test_a_request_has_its_answer(server: ControlServer, path: Path) -> None:
    assert await ask(path, "status") == {"ports": [1, 2]}
    assert await ask(path, "status") == {"ports": [1, 2]}


async def test_a_request_can_be_about_somebody(server: ControlServer, path: Path) -> None:
    assert await ask(path, "kick ann@example.test") == {"user": "ann@example.test"}
    assert await ask(path, "kick") == {"error": "unknown request"}
    assert await ask(path, "status now") == {"error": "unknown request"}


async def test_an_unknown_request_is_answered_too(server: ControlServer, path: Path) -> None:
    assert await ask(path, "sing") == {"error": "unknown request"}
    assert await ask(path, "x" * 10000) == {"error": "unknown request"}


async def test_a_request_without_an_end_is_not_kept(server: ControlServer, path: Path) -> None:
    with pytest.raises(OperatorError, match="does not answer"):
        await ask(path, "x" * 100_000)
    assert await ask(path, "status") == {"ports": [1, 2]}


async def test_the_socket_is_private_and_removed_at_the_end(
    server: ControlServer, path: Path
) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await server.stop()
    assert not path.exists()


async def test_a_socket_left_over_from_a_crash_is_replaced(path: Path, tmp_path: Path) -> None:
    path.touch()
    server = ControlServer(path, {})
    await server.start()
    assert stat.S_ISSOCK(path.stat().st_mode)
    await server.stop()


def test_without_a_server_the_remedy_is_told(path: Path) -> None:
    with pytest.raises(OperatorError, match=r"no server is running.*mailfront serve"):
        ask_server(path, "status")


def test_a_server_root_that_never_ran_has_no_server(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no server is running"):
        ask_server(tmp_path / "run" / "control.sock", "status")


def test_a_socket_that_nobody_listens_on_is_no_server(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    with pytest.raises(OperatorError, match="no server is running"):
        ask_server(path, "status")


async def test_a_server_that_stops_leaves_the_socket_of_its_successor(
    server: ControlServer, path: Path
) -> None:
    async def status() -> Answer:
        return {"pid": 2}

    successor = ControlServer(path, {"status": status})
    await successor.start()
    await server.stop()
    assert await ask(path, "status") == {"pid": 2}
    await successor.stop()
    assert not path.exists()
