"""Bound listening sockets."""

from __future__ import annotations

import errno
import socket

from mailfront.errors import ListenError
from mailfront.listener.occupant import process_on_port

BACKLOG = 1024
# Seconds the kernel waits for the client's first bytes before it wakes us: on a port where the
# client speaks first, a connection without a ClientHello costs us nothing.
DEFER_ACCEPT_SECONDS = 10


def bind(
    address: str, port: int, *, option: str, client_speaks_first: bool, shared: bool = False
) -> socket.socket:
    """Bind and listen on `address` (empty: every address, IPv6 and IPv4) and `port`; `shared`:
    beside others that do the same, among whom the kernel spreads connections.

    Raises `ListenError` naming address, port, the `option` that set it, and, where it can be
    found, the process that holds the port.
    """
    family = socket.AF_INET6 if ":" in address or not address else socket.AF_INET
    try:
        listener = _listen(family, address, port, shared=shared)
    except OSError as failure:
        if family == socket.AF_INET6 and not address and failure.errno in _NO_IPV6:
            return bind(
                "0.0.0.0",  # noqa: S104
                port,
                option=option,
                client_speaks_first=client_speaks_first,
                shared=shared,
            )
        raise _explain(failure, address, port, option) from failure
    # Inherited by accepted sockets, so it is set once and not per connection.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if client_speaks_first:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT_SECONDS)
    return listener


_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _listen(
    family: socket.AddressFamily, address: str, port: int, *, shared: bool
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if not address else 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _explain(failure: OSError, address: str, port: int, option: str) -> ListenError:
    where = f"cannot listen on {address or 'any address'} port {port} ({option})"
    if failure.errno == errno.EADDRINUSE:
        holder = process_on_port(port)
        return ListenError(
            f"{where}: the port is in use" + (f" by {holder}" if holder else ""),
            remedy=f"stop that program, or choose another port: configutil -o {option} -v PORT",
        )
    if failure.errno == errno.EACCES:
        return ListenError(
            f"{where}: ports below 1024 need a privilege",
            remedy="start as root, grant CAP_NET_BIND_SERVICE, or choose a higher port",
        )
    return ListenError(f"{where}: {failure.strerror}", remedy="check service.listenaddr")
