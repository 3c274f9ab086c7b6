"""A worker's end of the connection to its supervisor."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.interfaces.tasks import start_task
from mailfront.server.handover import Handover, keys_line
from mailfront.server.worker_link import READY, WorkerLink
from mailfront.server.worker_place import WorkerPlace
from mailfront.tls.session_tickets import TicketKey

KEY = TicketKey(0.0)
HANDOVER = Handover(Path("/srv/mail"), WorkerPlace(0, 2), {}, [], [KEY])


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    supervisor, worker = socket.socketpair()
    with supervisor, worker:
        yield supervisor, worker


def test_a_worker_takes_what_it_is_handed_and_tells_that_it_is_ready(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    supervisor, worker = ends
    link = WorkerLink(worker)
    supervisor.sendall(HANDOVER.line())
    assert link.receive() == HANDOVER
    assert link.keys.sealing_key() == KEY
    link.tell_ready()
    assert supervisor.recv(100) == READY


def test_a_supervisor_that_is_gone_hands_nothing_over(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    supervisor, worker = ends
    supervisor.close()
    with pytest.raises(EOFError):
        WorkerLink(worker).receive()


async def test_keys_told_behind_what_is_handed_over_are_taken_too(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    supervisor, worker = ends
    link, stop = WorkerLink(worker), asyncio.Event()
    second, third = TicketKey(0.0), TicketKey(0.0)
    begun = keys_line([third, second])
    supervisor.sendall(HANDOVER.line() + keys_line([second, KEY]) + begun[:30])
    assert link.receive() == HANDOVER
    assert link.keys.sealing_key() == second
    following = start_task(link.follow(stop), name="following")
    supervisor.sendall(begun[30:] + begun[:30])
    supervisor.close()
    async with asyncio.timeout(20):
        await following
    assert stop.is_set()
    assert link.keys.sealing_key() == third


async def test_new_keys_are_taken_and_the_end_of_the_supervisor_is_ours(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    supervisor, worker = ends
    link, stop, fresh = WorkerLink(worker), asyncio.Event(), TicketKey(0.0)
    following = start_task(link.follow(stop), name="following")
    supervisor.sendall(keys_line([fresh, KEY]))
    async with asyncio.timeout(20):
        while link.keys.sealing_key() != fresh:
            await asyncio.sleep(0.01)
    assert not stop.is_set()
    supervisor.close()
    async with asyncio.timeout(20):
        await following
    assert stop.is_set()
