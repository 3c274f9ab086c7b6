"""Listening sockets, and what is said where one cannot be had."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from mailfront.errors import ListenError
from mailfront.listener.sockets import bind
from tests.support.ports import LOOPBACK


def listening(address: str, port: int = 0, *, client_speaks_first: bool = False) -> socket.socket:
    option = "service.imap.port"
    return bind(address, port, option=option, client_speaks_first=client_speaks_first)


def test_a_listener_takes_connections_without_delay() -> None:
    with listening(LOOPBACK) as listener:
        assert not listener.getblocking()
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)
        socket.create_connection(listener.getsockname()).close()


def test_where_the_client_speaks_first_the_kernel_waits_for_it() -> None:
    with listening(LOOPBACK, client_speaks_first=True) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)


def test_no_address_means_every_address() -> None:
    with listening("") as listener:
        socket.create_connection((LOOPBACK, listener.getsockname()[1])).close()


def test_without_ipv6_every_address_is_every_ipv4_address(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    with listening("") as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


def test_a_port_in_use_is_refused_with_its_holder_and_its_option() -> None:
    with listening(LOOPBACK) as listener, pytest.raises(ListenError) as caught:
        listening(LOOPBACK, listener.getsockname()[1])
    text = str(caught.value)
    assert f"(pid {os.getpid()})" in text
    assert "service.imap.port" in text
    assert "configutil -o service.imap.port -v PORT" in text


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1 port 0.*check service\.listenaddr"):
        listening("192.0.2.1")


def test_a_port_that_needs_a_privilege_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ListenError, match="CAP_NET_BIND_SERVICE"):
        listening(LOOPBACK, 143)


def test_a_shared_port_is_shared_with_those_that_share_it_too() -> None:
    def shared(port: int = 0) -> socket.socket:
        option = "service.imap.port"
        return bind(LOOPBACK, port, option=option, client_speaks_first=False, shared=True)

    with shared() as one, shared(one.getsockname()[1]), pytest.raises(ListenError):
        listening(LOOPBACK, one.getsockname()[1])
