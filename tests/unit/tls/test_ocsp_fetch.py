"""A responder is asked over HTTP: one on loopback, with every fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from mailfront.errors import OcspError
from mailfront.keystore.ocsp import MAXIMUM_RESPONSE
from mailfront.tls.ocsp_fetch import fetch_response
from tests.support.ports import LOOPBACK, free_ports

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SECONDS = 10.0


@asynccontextmanager
async def responder(answer: Answer) -> AsyncIterator[str]:
    """Serve `answer` for every path; give the address."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    try:
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def refusal(answer: Answer, seconds: float = SECONDS) -> str:
    async with responder(answer) as url:
        with pytest.raises(OcspError) as refused:
            await fetch_response(url, b"question", seconds)
        return refused.value.what.replace(url, "URL")


async def test_a_question_is_posted_and_the_answer_returned() -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.content_type, await request.read()))
        return web.Response(body=b"answer", content_type="application/ocsp-response")

    async with responder(answer) as url:
        assert await fetch_response(f"{url}/ocsp", b"question", SECONDS) == b"answer"
    assert seen == [("POST", "application/ocsp-request", b"question")]


async def test_a_responder_that_moved_is_asked_the_same_there() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/":
            raise web.HTTPMovedPermanently("/new")
        return web.Response(body=request.method.encode() + await request.read())

    async with responder(answer) as url:
        assert await fetch_response(url, b" question", SECONDS) == b"POST question"


async def test_redirects_come_to_an_end() -> None:
    async def answer(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{request.path}x")

    assert await refusal(answer) == "URL redirects more than 3 times"


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/"])
async def test_redirects_lead_to_http_alone(place: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        raise web.HTTPFound(place)

    assert "not HTTP" in await refusal(answer)


@pytest.mark.parametrize("status", [204, 404, 500, 503])
async def test_any_other_status_is_no_answer(status: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    assert await refusal(answer) == f"URL answers with HTTP status {status}"


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(bytes(MAXIMUM_RESPONSE))
            sent += MAXIMUM_RESPONSE
        return response

    assert "more than 65536 octets" in await refusal(answer)
    assert sent < 900 * MAXIMUM_RESPONSE


async def test_a_compressed_answer_is_not_expanded() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8bsmall", headers={"Content-Encoding": "gzip"})

    async with responder(answer) as url:
        assert await fetch_response(url, b"question", SECONDS) == b"\x1f\x8bsmall"


async def test_a_slow_responder_is_given_up() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        return response

    assert await refusal(answer, 0.3) == "URL does not answer within 0.3 seconds"


async def test_a_responder_that_is_not_there_is_told() -> None:
    [port] = free_ports(1)
    with pytest.raises(OcspError, match="cannot be asked"):
        await fetch_response(f"http://{LOOPBACK}:{port}/", b"question", SECONDS)


@pytest.mark.parametrize(
    "url", ["http://", "http://[", "http://a b/", "http://ocsp.invalid:99999/"]
)
async def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(OcspError, match="cannot be asked"):
        await fetch_response(url, b"question", SECONDS)


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"answer")

    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with responder(answer) as url:
        assert await fetch_response(url, b"question", SECONDS) == b"answer"
