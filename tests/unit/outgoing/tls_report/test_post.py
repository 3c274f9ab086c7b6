"""A receiver of reports on loopback, over HTTPS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from mailfront.errors import TlsReportError
from mailfront.outgoing.tls_report.post import ReportPoster
from mailfront.tls.client_context import build_client_context
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.ports import LOOPBACK

SEEN: list[tuple[str, bytes]] = []


@asynccontextmanager
async def receiver(directory: Path, issuer: Issuer, status: int) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        SEEN.append((request.content_type, await request.read()))
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    issued = issuer.issue(LOOPBACK)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificate_pem_file(directory / "cert.pem", issued.chain),
        key_pem_file(directory / "key.pem", issued.key),
    )
    application = web.Application()
    application.router.add_post("/v1", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0, ssl_context=context).start()
    try:
        yield f"https://{LOOPBACK}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def test_a_report_is_posted_with_its_type(tmp_path: Path) -> None:
    issuer = Issuer()
    SEEN.clear()
    async with receiver(tmp_path, issuer, 201) as url:
        await ReportPoster(lambda: build_client_context([issuer.root])).post(url, b"report")
    assert SEEN == [("application/tlsrpt+gzip", b"report")]


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_another_answer_is_a_failure(tmp_path: Path, status: int) -> None:
    issuer = Issuer()
    async with receiver(tmp_path, issuer, status) as url:
        with pytest.raises(TlsReportError, match=f"status {status}"):
            await ReportPoster(lambda: build_client_context([issuer.root])).post(url, b"report")


async def test_a_receiver_that_is_not_believed_gets_nothing(tmp_path: Path) -> None:
    SEEN.clear()
    async with receiver(tmp_path, Issuer(), 200) as url:
        with pytest.raises(TlsReportError, match="cannot be reached"):
            await ReportPoster(lambda: build_client_context([])).post(url, b"report")
    assert SEEN == []
