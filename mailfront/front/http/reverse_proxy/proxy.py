"""Every request that is not for a page of our own, passed on to a webmail server and back.

Takes a request and the servers behind; streams both ways with back-pressure, nothing is read whole.
What this hop decides is decided before a server is asked (`target`, `headers`, `certificate`); an
answer that breaks off in the middle breaks off for the client too.
"""

from __future__ import annotations

import asyncio
import logging

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from mailfront.errors import WebServerError
from mailfront.front.http.client import peer_of
from mailfront.front.http.protection import HOST, error_page
from mailfront.front.http.reverse_proxy.certificate import CertificateHeaders
from mailfront.front.http.reverse_proxy.headers import (
    has_known_framing,
    is_within,
    request_headers,
    response_headers,
    tell_client,
)
from mailfront.front.http.reverse_proxy.settings import ProxySettings
from mailfront.front.http.reverse_proxy.target import Verdict, judge
from mailfront.front.http.reverse_proxy.upload import Upload
from mailfront.front.http.reverse_proxy.web_socket import is_web_socket, pass_on
from mailfront.front.http.services import SESSION_COOKIE
from mailfront.front.http.sign_in import SIGN_IN_COOKIE
from mailfront.interfaces.authenticator import Authenticator
from mailfront.interfaces.web_servers import WebRequest, WebServers

_log = logging.getLogger("mailfront.front.http")

# The names of the fields that came from behind, on the answer to this request.
PASSED_ON = web.RequestKey("passed_on", frozenset[str])
# Our sessions are nothing for the webmail, and it may not begin one.
OWN_COOKIES = frozenset({SESSION_COOKIE, SIGN_IN_COOKIE})
_TEXTS = {
    404: "The address is not one of this server's.",
    421: "This server has another name.",
    501: "The body is encoded for its transfer in a way that is not known here.",
    502: "The mail server behind this page gave no proper answer. Try again in a moment.",
    503: "The mail server behind this page does not answer. Try again in a moment.",
    504: "The mail server behind this page took too long. Try again in a moment.",
}


class ReverseProxy:
    """The handler of all that goes to the webmail behind."""

    def __init__(
        self, settings: ProxySettings, servers: WebServers, authenticator: Authenticator
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._certificates = CertificateHeaders(settings, authenticator)
        self._reserved = (settings.user_header, settings.name_header, settings.fingerprint_header)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on, or say with a page of ours why not."""
        settings = self._settings
        host = request.headers.get("Host", "")
        verdict = (
            judge(
                request.method, request.raw_path, host, paths=settings.paths, hosts=settings.hosts
            )
            if HOST.fullmatch(host)
            else Verdict.MALFORMED
        )
        if verdict is not Verdict.PASSED:
            return _page(request, verdict.value)
        if not has_known_framing(request.headers.getall("Transfer-Encoding", [])):
            return _page(request, web.HTTPNotImplemented.status_code)
        upload = Upload(request, limit=settings.body_limit, silence=settings.silence)
        if upload.exceeds:
            return _page(request, web.HTTPRequestEntityTooLarge.status_code)
        try:
            asked = await self._asked(request, host, upload)
            if is_web_socket(request):
                return await pass_on(request, self._servers, asked, settings.silence)
            return await self._exchange(request, asked)
        except web.HTTPException as problem:
            return _page(request, problem.status, CIMultiDict(problem.headers))
        except WebServerError as failure:
            if upload.refusal:
                return _page(request, upload.refusal)
            if not failure.headers:
                _log.warning(
                    "peer=%s path=%s %s", peer_of(request), request.rel_url.raw_path, failure
                )
            refusal = response_headers(failure.headers, own_cookies=OWN_COOKIES)
            return _page(request, failure.status, refusal)

    async def _asked(self, request: web.Request, host: str, upload: Upload) -> WebRequest:
        peer, settings = peer_of(request), self._settings
        headers = request_headers(
            request.headers.items(),
            reserved=self._reserved,
            own_cookies=OWN_COOKIES,
            trusted=is_within(peer.address, settings.balancers),
        )
        tell_client(headers, peer, host)
        headers.update(await self._certificates.of(request))
        body = upload.pieces() if request.body_exists else None
        return WebRequest(request.method, request.raw_path, headers, peer.address, body)

    async def _exchange(self, request: web.Request, asked: WebRequest) -> web.StreamResponse:
        async with self._servers.ask(asked) as answer:
            response = web.StreamResponse(
                status=answer.status,
                reason=_reason(answer.reason),
                headers=response_headers(answer.headers.items(), own_cookies=OWN_COOKIES),
            )
            # The length is that of the answer to GET where HEAD was asked, or of a 304.
            if (length := answer.headers.get("Content-Length")) is not None and length.isdigit():
                response.content_length = int(length)
            request[PASSED_ON] = frozenset(name.lower() for name in response.headers)
            try:
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    async with asyncio.timeout(self._settings.silence):
                        await response.write(piece)
                await response.write_eof()
            except (aiohttp.ClientError, OSError) as failure:
                # The client took nothing more, or the server stopped: the end must not look good.
                if request.transport is not None:
                    _log.warning(
                        "peer=%s path=%s the answer broke off: %s: %s",
                        peer_of(request), request.rel_url.raw_path, type(failure).__name__, failure,
                    )  # fmt: skip
                    request.transport.abort()
        return response


def _page(
    request: web.Request, status: int, headers: CIMultiDict[str] | None = None
) -> web.StreamResponse:
    """A page of ours; `headers` are what a refusal is worth nothing without."""
    page = error_page(request, status, _TEXTS.get(status, ""))
    for name in ("Allow", "Set-Cookie", "Sec-WebSocket-Version", "WWW-Authenticate", "Location"):
        for value in (headers or CIMultiDict()).getall(name, []):
            page.headers.add(name, value)
    return page


def _reason(text: str | None) -> str | None:
    """The reason phrase, which aiohttp writes as UTF-8; any other goes without."""
    return text if text is not None and text.isascii() and text.isprintable() else None
