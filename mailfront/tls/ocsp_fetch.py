"""An OCSP responder asked over HTTP (RFC 6960 appendix A).

Takes its address, a request and a time limit, gives the octets of the answer, unjudged. Everything
is bounded: time, size, redirects. No proxy, cookie or compression has a part in it. Raises
`OcspError`.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin

import aiohttp

from mailfront.errors import OcspError
from mailfront.keystore.ocsp import MAXIMUM_RESPONSE

_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {
    "Content-Type": "application/ocsp-request",
    "Accept": "application/ocsp-response",
    "User-Agent": "mailfront",
}


async def fetch_response(url: str, request: bytes, seconds: float) -> bytes:
    """POST `request` to `url` and return what comes back within `seconds` for everything."""
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession(
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            ) as session,
        ):
            return await _follow(session, url, request)
    except TimeoutError as failure:
        raise OcspError(f"{url} does not answer within {seconds:g} seconds") from failure
    except (aiohttp.ClientError, OSError, ValueError) as failure:
        raise OcspError(f"{url} cannot be asked: {failure}") from failure


async def _follow(session: aiohttp.ClientSession, url: str, request: bytes) -> bytes:
    """A responder that moved is asked the same question again, not sent a GET."""
    place = url
    for _ in range(_MOST_REDIRECTS + 1):
        async with session.post(place, data=request, allow_redirects=False) as response:
            if response.status == 200:
                return await _body(response, url)
            if response.status not in _REDIRECTS:
                raise OcspError(f"{url} answers with HTTP status {response.status}")
            place = urljoin(place, response.headers.get("Location", ""))
            if not place.lower().startswith(("http://", "https://")):
                raise OcspError(f"{url} redirects to something that is not HTTP")
    raise OcspError(f"{url} redirects more than {_MOST_REDIRECTS} times")


async def _body(response: aiohttp.ClientResponse, url: str) -> bytes:
    received = bytearray()
    async for piece in response.content.iter_any():
        received += piece
        if len(received) > MAXIMUM_RESPONSE:
            raise OcspError(f"{url} answers with more than {MAXIMUM_RESPONSE} octets")
    return bytes(received)
