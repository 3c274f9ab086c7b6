"""The contract between the HTTPS service as a reverse proxy and the webmail servers behind it.

The front decides what is passed on; who implements this finds a server that works, keeps the
connections, and verifies whom it speaks to. What goes wrong is a `WebServerError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from aiohttp import ClientResponse, ClientWebSocketResponse
from multidict import CIMultiDict


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request: `target` is path and query as they came, `client` the address that asks, and
    `body` None where there is none. `headers` are sent as they are, with the body's framing."""

    method: str
    target: str
    headers: CIMultiDict[str]
    client: str
    body: AsyncIterator[bytes] | None = None


class WebServers(Protocol):
    """Servers that are equals."""

    def ask(self, request: WebRequest) -> AbstractAsyncContextManager[ClientResponse]:
        """Give the answer, whose body is read inside the context and is not decoded.

        Raises `WebServerError` when it begins, and from reading the body aiohttp's `ClientError`
        and `TimeoutError`.
        """
        ...

    def open_web_socket(
        self, request: WebRequest, protocols: tuple[str, ...]
    ) -> AbstractAsyncContextManager[ClientWebSocketResponse]:
        """Give a WebSocket on which nothing is answered by itself.

        Raises `WebServerError`, whose `headers` are the server's where it refused.
        """
        ...
