"""A webmail behind the front: an aiohttp application on loopback, in a thread of its own.

It tells what reached it. `requests` are the header fields of each request, in order; TLS where a
certificate is given.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from aiohttp import WSMsgType, web

from mailfront.front.http.services import Handler
from tests.support.ports import LOOPBACK

PIECE = b"0123456789abcdef" * 4096
PAGE = """<!DOCTYPE html><title>behind</title><p id="said">waiting</p><p id="events"></p><script>
const socket = new WebSocket(`wss://${location.host}/socket`, ["chat", "mail"]);
const said = document.getElementById("said");
socket.onopen = () => socket.send("from the browser");
socket.onmessage = (message) => {
  said.textContent = `${socket.protocol}: ${message.data}`;
  socket.send("close 4001 enough");
};
socket.onclose = (event) => { said.textContent += ` / ${event.code} ${event.reason}`; };
new EventSource("/events").onmessage = (event) => {
  document.getElementById("events").textContent += event.data;
};
</script>"""


class WebBehind:
    """One server; `port` is known once it runs. `going_on` lets the events and the slow answer go
    on, `ended` is set when a client of a WebSocket or of events was lost."""

    def __init__(self, tls: ssl.SSLContext | None = None, name: str = "behind") -> None:
        self.port = 0
        self.name = name
        self.requests: list[list[tuple[str, str]]] = []
        self.targets: list[str] = []
        self.uploaded: list[int] = []
        self.cut: list[int] = []
        self.closed: list[tuple[int | None, str]] = []
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._going_on = asyncio.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready: Future[int] = Future()

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._ready.result(20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; clients are cut."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)

    def go_on(self) -> None:
        """Let what waits at the server go on."""
        self._loop.call_soon_threadsafe(self._going_on.set)

    def header(self, name: str, request: int = -1) -> list[str]:
        """The values of a field of one request."""
        return [value for key, value in self.requests[request] if key.lower() == name.lower()]

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        application = web.Application(middlewares=[self._note])
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/page", self._page),
                web.get("/fixed", self._fixed),
                web.get("/empty", self._empty),
                web.get("/not-modified", self._not_modified),
                web.get("/stream", self._stream),
                web.get("/broken", self._broken),
                web.get("/events", self._events),
                web.get("/socket", self._socket),
                web.get("/no-socket", self._no_socket),
                web.get("/redirect", self._redirect),
                web.get("/silent", self._silent),
                web.post("/upload", self._upload),
                web.put("/upload", self._upload),
                web.post("/early", self._early),
                web.route("*", "/{path:.*}", self._anything),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=self._tls)
        await site.start()
        self._ready.set_result(runner.addresses[0][1])
        await self._stop.wait()
        await runner.cleanup()

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(list(request.headers.items()))
        self.targets.append(request.raw_path)
        return await handler(request)

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=PAGE, content_type="text/html")

    async def _anything(self, request: web.Request) -> web.StreamResponse:
        response = web.Response(text=f"{self.name} {request.method} {request.raw_path}")
        for value in ("a=1; Path=/; HttpOnly", "b=2; Path=/", "__Host-session=stolen; Path=/"):
            response.headers.add("Set-Cookie", value)
        return response

    async def _fixed(self, request: web.Request) -> web.StreamResponse:
        ranged = request.http_range
        body = PIECE[ranged]
        return web.Response(
            body=body,
            status=206 if ranged.start is not None else 200,
            headers={"Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5", "Etag": '"1"'},
        )

    async def _empty(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async def _not_modified(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=304, headers={"Etag": '"1"'})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if "length" in request.query:
            response.content_length = int(request.query["pieces"]) * len(PIECE)
        await response.prepare(request)
        for _ in range(int(request.query["pieces"])):
            await response.write(PIECE)
        await response.write_eof()
        return response

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(PIECE)
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        await self._going_on.wait()
        await response.write(b"data: second\n\n")
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            protocols=("mail",), autoclose=False, autoping=False, max_msg_size=32 * 1024 * 1024
        )
        await socket.prepare(request)
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.TEXT and message.data.startswith("close "):
                _, code, reason = message.data.split(" ", 2)
                await socket.close(code=int(code), message=reason.encode())
                break
            if message.type is WSMsgType.TEXT and message.data == "vanish":
                assert request.transport is not None
                request.transport.abort()
                break
            if message.type is WSMsgType.TEXT:
                await socket.send_str(f"heard {message.data}")
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.CLOSE:
                self.closed.append((message.data, message.extra or ""))
                await socket.close(code=message.data or 1000)
                break
            else:
                break
        return socket

    async def _no_socket(self, _: web.Request) -> web.StreamResponse:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"}, text="who?")

    async def _redirect(self, _: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/page?a=%2F")

    async def _silent(self, _: web.Request) -> web.StreamResponse:
        await self._going_on.wait()
        return web.Response(text="late")

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        digest, count = hashlib.sha256(), 0
        try:
            async for piece in request.content.iter_any():
                digest.update(piece)
                count += len(piece)
        except (web.RequestPayloadError, OSError):
            self.cut.append(count)
            raise
        self.uploaded.append(count)
        return web.json_response({"octets": count, "sha256": digest.hexdigest()})

    async def _early(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=403, text="not wanted")
