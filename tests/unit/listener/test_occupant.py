"""Who holds a port, as far as this machine tells."""

from __future__ import annotations

import os
import socket

from mailfront.listener.occupant import process_on_port
from tests.support.ports import LOOPBACK


def test_the_process_that_listens_is_named() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        named = process_on_port(listener.getsockname()[1])
    assert named.endswith(f"(pid {os.getpid()})")


def test_a_port_that_is_bound_but_not_listened_on_has_nobody() -> None:
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        assert process_on_port(bound.getsockname()[1]) == ""
