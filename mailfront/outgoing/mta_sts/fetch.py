"""A policy file fetched over HTTPS (RFC 8461 section 3.3).

Takes a domain, the TLS context that says whose certificates are believed, and a time limit; gives
the policy. Everything is bounded: time, size. No redirect is followed, no proxy, cookie, cache or
compression has a part in it; the host's certificate is verified for its name (RFC 9525) by the
context. Raises `MtaStsError`.
"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from aiohttp.abc import AbstractResolver

from mailfront.errors import MtaStsError
from mailfront.outgoing.mta_sts.policy import Policy, parse_policy

HOST_PREFIX = "mta-sts."
PATH = "/.well-known/mta-sts.txt"
HTTPS_PORT = 443
# RFC 8461 section 3.3 suggests both.
LARGEST_POLICY = 64 * 1024
FETCH_SECONDS = 60.0
_CERTIFICATE_FAULTS = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientConnectorSSLError,
)
_HEADERS = {"Accept": "text/plain", "User-Agent": "mailfront"}


class CertificateRefusedError(MtaStsError):
    """The policy's host presents a certificate that does not stand for it."""


class PolicyInvalidError(MtaStsError):
    """What the policy's host serves is no policy."""


class PolicyFetcher:
    """Fetches policies; `port` is another than 443 in tests alone."""

    def __init__(self, resolver: AbstractResolver | None = None, port: int = HTTPS_PORT) -> None:
        self._resolver = resolver
        self._port = port

    async def fetch(
        self, domain: str, context: ssl.SSLContext, seconds: float = FETCH_SECONDS
    ) -> Policy:
        """Return the policy of `domain` (in A-labels), fetched within `seconds` for everything."""
        content = await self._content(domain, context, seconds)
        try:
            return parse_policy(content)
        except MtaStsError as error:
            raise PolicyInvalidError(error.what) from error

    async def _content(self, domain: str, context: ssl.SSLContext, seconds: float) -> bytes:
        host = f"{HOST_PREFIX}{domain}"
        place = "" if self._port == HTTPS_PORT else f":{self._port}"
        connector = aiohttp.TCPConnector(ssl=context, resolver=self._resolver, force_close=True)
        try:
            async with (
                asyncio.timeout(seconds),
                aiohttp.ClientSession(
                    connector=connector,
                    headers=_HEADERS,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    trust_env=False,
                ) as session,
                session.get(f"https://{host}{place}{PATH}", allow_redirects=False) as response,
            ):
                return await _body(response, host)
        except TimeoutError as failure:
            raise MtaStsError(f"{host} does not answer within {seconds:g} seconds") from failure
        except (
            aiohttp.ClientConnectorCertificateError,
            aiohttp.ClientConnectorSSLError,
        ) as failure:
            raise CertificateRefusedError(f"{host} is not believed: {failure}") from failure
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            raise MtaStsError(f"{host} cannot be asked: {failure}") from failure


async def _body(response: aiohttp.ClientResponse, host: str) -> bytes:
    if response.status != 200:
        raise MtaStsError(f"{host} answers with HTTP status {response.status}")
    # RFC 8461 section 3.2: so that whoever may store web pages there cannot set a policy.
    if response.content_type != "text/plain":
        raise PolicyInvalidError(f"{host} serves no text/plain")
    received = bytearray()
    async for piece in response.content.iter_any():
        received += piece
        if len(received) > LARGEST_POLICY:
            raise PolicyInvalidError(f"{host} serves more than {LARGEST_POLICY} octets")
    return bytes(received)
