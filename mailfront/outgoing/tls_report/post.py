"""A report handed over by HTTPS (RFC 8460 section 5.4).

Takes where, what, and the TLS context that says who is believed; bounded in time; no redirect is
followed. Raises `TlsReportError`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver

from mailfront.errors import TlsReportError
from mailfront.outgoing.tls_report.message import REPORT_TYPE

POST_SECONDS = 60.0


class ReportPoster:
    """Hands reports over; `context` gives the TLS context of the moment."""

    def __init__(
        self, context: Callable[[], ssl.SSLContext], resolver: AbstractResolver | None = None
    ) -> None:
        self._context = context
        self._resolver = resolver

    async def post(self, url: str, content: bytes) -> None:
        """Return once the receiver has taken the report."""
        connector = aiohttp.TCPConnector(
            ssl=self._context(), resolver=self._resolver, force_close=True
        )
        try:
            async with (
                asyncio.timeout(POST_SECONDS),
                aiohttp.ClientSession(
                    connector=connector,
                    headers={"Content-Type": REPORT_TYPE, "User-Agent": "mailfront"},
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                ) as session,
                session.post(url, data=content, allow_redirects=False) as response,
            ):
                status = response.status
        except TimeoutError as failure:
            raise TlsReportError(f"{url} does not answer in time") from failure
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            raise TlsReportError(f"{url} cannot be reached: {failure}") from failure
        if not 200 <= status < 300:
            raise TlsReportError(f"{url} answers with HTTP status {status}")
