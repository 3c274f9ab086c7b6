"""A WebSocket (RFC 6455) passed on: message by message, both ways.

The server behind is asked first: its choice of a subprotocol, or its refusal, is the client's
answer. Pings, pongs, close codes and reasons go on; compression is of each connection alone, and
not offered. Who sends faster than the other side takes is not read meanwhile. A client that has
vanished without a word is found out by a ping of ours.
"""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMessage, WSMsgType, web

from mailfront.interfaces.tasks import start_task
from mailfront.interfaces.web_servers import WebRequest, WebServers

# As that of the side behind, `backend.upstream.web`.
MESSAGE_LIMIT = 16 * 1024 * 1024
_MOST_PROTOCOLS = 32
# A client that was silent for so long is asked, and has half of it to answer: a large message may
# be on its way to it before the ping.
_HEARTBEAT_SECONDS = 120.0
# RFC 6455 section 7.4.1: these are never sent.
_NEVER_SENT = frozenset({1005, 1006, 1015})

_Side: TypeAlias = web.WebSocketResponse | ClientWebSocketResponse


def is_web_socket(request: web.Request) -> bool:
    """Whether a WebSocket is asked for (RFC 6455 section 4.2.1)."""
    upgrades = (word.strip().lower() for word in request.headers.get("Upgrade", "").split(","))
    return request.method == "GET" and "websocket" in upgrades


async def pass_on(
    request: web.Request, servers: WebServers, asked: WebRequest, silence: float
) -> web.StreamResponse:
    """Join the client to a server until one ends it, or takes nothing for `silence` seconds.

    Raises `WebServerError` as long as the client has no answer.
    """
    if request.headers.get("Sec-WebSocket-Version") != "13":
        raise web.HTTPUpgradeRequired(headers={"Sec-WebSocket-Version": "13"})
    protocols = _protocols(request)
    if not web.WebSocketResponse(protocols=protocols).can_prepare(request).ok:
        raise web.HTTPBadRequest(text="That is no WebSocket handshake.")
    async with servers.open_web_socket(asked, protocols) as server:
        client = web.WebSocketResponse(
            protocols=(server.protocol,) if server.protocol else (),
            autoclose=False,
            autoping=False,
            heartbeat=_HEARTBEAT_SECONDS,
            compress=False,
            max_msg_size=MESSAGE_LIMIT,
        )
        await client.prepare(request)
        await _Relay(client, server, silence).run()
    return client


def _protocols(request: web.Request) -> tuple[str, ...]:
    values = request.headers.getall("Sec-WebSocket-Protocol", [])
    words = [word.strip() for value in values for word in value.split(",") if word.strip()]
    return tuple(dict.fromkeys(words))[:_MOST_PROTOCOLS]


class _Relay:
    """The two ways between a client and a server; whoever ends first says how both end."""

    def __init__(
        self, client: web.WebSocketResponse, server: ClientWebSocketResponse, silence: float
    ) -> None:
        self._client = client
        self._server = server
        self._silence = silence
        self._ending = False

    async def run(self) -> None:
        """Return when both sides are closed."""
        await asyncio.gather(
            start_task(
                self._copy(self._client, self._server, WSCloseCode.GOING_AWAY), name="web socket in"
            ),
            start_task(
                self._copy(self._server, self._client, WSCloseCode.BAD_GATEWAY),
                name="web socket out",
            ),
        )

    async def _copy(self, source: _Side, sink: _Side, lost: int) -> None:
        """Pass on what `source` sends; `lost` tells the other that it went without a word."""
        code, reason, sends = lost, "", True
        while sends:
            message = await source.receive()
            if self._ending:
                return
            try:
                async with asyncio.timeout(self._silence):
                    sends = await _send(sink, message)
            except (ConnectionError, TimeoutError):
                break
        else:
            if message.type is WSMsgType.CLOSE:
                code, reason = _sendable_code(message.data), message.extra or ""
            elif message.type is WSMsgType.ERROR and not isinstance(message.data, TimeoutError):
                code = WSCloseCode.PROTOCOL_ERROR
        if not self._ending:
            self._ending = True
            await _close(sink, code, reason)
            await _close(source, code, reason)


async def _send(sink: _Side, message: WSMessage) -> bool:
    """Send one message on; whether it was one, and not the end."""
    match message.type:
        case WSMsgType.TEXT:
            await sink.send_str(message.data)
        case WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        case WSMsgType.PING:
            await sink.ping(message.data)
        case WSMsgType.PONG:
            await sink.pong(message.data)
        case _:
            return False
    return True


def _sendable_code(code: int | None) -> int:
    """A Close frame without a code is 1005 to who receives it, and 1000 to who is told of it."""
    return WSCloseCode.OK if code is None or code == 0 or code in _NEVER_SENT else code


async def _close(side: _Side, code: int, reason: str) -> None:
    await side.close(code=code, message=reason.encode())
