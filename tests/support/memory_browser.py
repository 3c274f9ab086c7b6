"""A browser without sockets: it speaks HTTP/1.1 with an aiohttp application over memory.

Real requests go through aiohttp's real server protocol; only the transport is in memory. Cookies
are kept as a browser keeps them, by name.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import web

from mailfront.interfaces.peer import Peer, TlsFacts

PEER = ("192.0.2.7", 50123)
LOCAL = ("192.0.2.1", 443)


@dataclass
class Answer:
    """A response, read whole."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        values = self.header_values(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def field(self, name: str) -> str:
        """The value of the form field `name` on the page."""
        match = re.search(rf'name="{name}"[^>]*? value="([^"]*)"', self.text)
        assert match is not None, f"no field {name} in {self.text}"
        return unescape(match[1])


class MemoryTransport(asyncio.Transport):
    """Collects what is written; `closed` is set when the server closes."""

    def __init__(self, tls_facts: TlsFacts | None = None) -> None:
        super().__init__()
        self.tls_facts = tls_facts
        self.peer = Peer(*PEER, *LOCAL)
        self.written = bytearray()
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += data

    def close(self) -> None:
        self.closed.set()

    def abort(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": PEER, "sockname": LOCAL}.get(name, default)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@dataclass
class MemoryBrowser:
    """Use as `async with MemoryBrowser(application) as browser`."""

    application: web.Application
    cookies: dict[str, str] = field(default_factory=dict)
    host: str = "mail.example.test"
    tls_facts: TlsFacts | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.application, lingering_time=0.1)
        await self._runner.setup()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.request("GET", path, b"", headers)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        sent = {"Content-Type": "application/x-www-form-urlencoded"} | headers
        return await self.request("POST", path, urlencode(fields).encode(), sent)

    async def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        fields = {"Host": self.host, "Connection": "close", "Content-Length": str(len(body))}
        if self.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def raw(self, octets: bytes) -> Answer:
        """Send `octets` on a new connection and read until the server closes it."""
        assert self._runner.server is not None
        protocol, transport = self._runner.server(), MemoryTransport(self.tls_facts)
        protocol.connection_made(transport)
        protocol.data_received(octets)
        await asyncio.wait_for(transport.closed.wait(), 20)
        protocol.connection_lost(None)
        head, _, body = bytes(transport.written).partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        pairs = [line.partition(": ")[::2] for line in lines]
        answer = Answer(int(status.split()[1]), pairs, body)
        self._keep_cookies(answer)
        return answer

    def _keep_cookies(self, answer: Answer) -> None:
        for value in answer.header_values("Set-Cookie"):
            for name, morsel in SimpleCookie(value).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value

    async def sign_in(self, login: str, password: str) -> Answer:
        """Fill in the form as a person does."""
        form = await self.get("/sign-in")
        return await self.post(
            "/sign-in",
            {"csrf_token": form.field("csrf_token"), "login": login, "password": password},
        )
