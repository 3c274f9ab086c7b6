"""A policy's host on loopback, over HTTPS, with every fault."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from mailfront.errors import MtaStsError
from mailfront.outgoing.mta_sts.fetch import (
    FETCH_SECONDS,
    LARGEST_POLICY,
    PATH,
    CertificateRefusedError,
    PolicyFetcher,
    PolicyInvalidError,
)
from mailfront.tls.client_context import build_client_context
from tests.support.issuing import Issued, Issuer, certificate_pem_file, key_pem_file
from tests.support.ports import LOOPBACK

POLICY = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Loopback(AbstractResolver):
    """Every host is here."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=LOOPBACK, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


async def good(_request: web.Request) -> web.StreamResponse:
    return web.Response(text=POLICY)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@asynccontextmanager
async def host(directory: Path, issued: Issued, answer: Answer) -> AsyncIterator[PolicyFetcher]:
    """Serve `answer`; give what fetches from there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificate_pem_file(directory / "cert.pem", issued.chain),
        key_pem_file(directory / "key.pem", issued.key),
    )
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0, ssl_context=context).start()
    try:
        yield PolicyFetcher(Loopback(), runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def refusal(
    directory: Path, issuer: Issuer, answer: Answer, seconds: float = FETCH_SECONDS
) -> MtaStsError:
    issued = issuer.issue("mta-sts.example.com")
    async with host(directory, issued, answer) as fetcher:
        with pytest.raises(MtaStsError) as refused:
            await fetcher.fetch("example.com", build_client_context([issuer.root]), seconds)
    return refused.value


async def test_a_policy_comes_from_the_well_known_place(tmp_path: Path, issuer: Issuer) -> None:
    seen = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append((request.host.partition(":")[0], request.path))
        return await good(request)

    async with host(tmp_path, issuer.issue("mta-sts.example.com"), answer) as fetcher:
        policy = await fetcher.fetch("example.com", build_client_context([issuer.root]))
    assert policy.mx == ("mx.example.com",)
    assert seen == [("mta-sts.example.com", PATH)]


async def test_a_name_of_the_certificate_may_be_a_wildcard(tmp_path: Path, issuer: Issuer) -> None:
    async with host(tmp_path, issuer.issue("*.example.com"), good) as fetcher:
        assert await fetcher.fetch("example.com", build_client_context([issuer.root]))


@pytest.mark.parametrize("fault", ["name", "expired", "unknown authority", "no authority"])
async def test_a_host_whose_certificate_does_not_stand_for_it_is_not_believed(
    tmp_path: Path, issuer: Issuer, fault: str
) -> None:
    issued = issuer.issue("mta-sts.example.com")
    if fault == "name":
        issued = issuer.issue("example.com", "mta-sts.example.org")
    elif fault == "expired":
        issued = issuer.issue(
            "mta-sts.example.com", begins=datetime.now(UTC) - timedelta(days=9), days=8
        )
    trusted = {"unknown authority": [Issuer().root], "no authority": []}.get(fault, [issuer.root])
    async with host(tmp_path, issued, good) as fetcher:
        with pytest.raises(CertificateRefusedError, match="not believed"):
            await fetcher.fetch("example.com", build_client_context(trusted))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(tmp_path: Path, issuer: Issuer, status: int) -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"}, text=POLICY)

    assert f"status {status}" in str(await refusal(tmp_path, issuer, answer))
    assert asked == [PATH]


@pytest.mark.parametrize("status", [204, 404, 500])
async def test_another_status_is_no_policy(tmp_path: Path, issuer: Issuer, status: int) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    assert f"status {status}" in str(await refusal(tmp_path, issuer, answer))


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
async def test_only_plain_text_is_taken(tmp_path: Path, issuer: Issuer, kind: str) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=POLICY, content_type=kind)

    assert isinstance(await refusal(tmp_path, issuer, answer), PolicyInvalidError)


async def test_a_flood_is_cut_off(tmp_path: Path, issuer: Issuer) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * LARGEST_POLICY)

    assert "more than" in str(await refusal(tmp_path, issuer, answer))


async def test_what_is_no_policy_is_refused_as_such(tmp_path: Path, issuer: Issuer) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="hello")

    assert isinstance(await refusal(tmp_path, issuer, answer), PolicyInvalidError)


async def test_a_silent_host_is_given_up(tmp_path: Path, issuer: Issuer) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    assert "within 0.3 seconds" in str(await refusal(tmp_path, issuer, answer, 0.3))


async def test_nobody_there_is_an_error_of_ours() -> None:
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        fetcher = PolicyFetcher(Loopback(), held.getsockname()[1])
        with pytest.raises(MtaStsError, match="cannot be asked"):
            await fetcher.fetch("example.com", build_client_context([]))
