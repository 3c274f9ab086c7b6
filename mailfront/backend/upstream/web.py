"""The webmail servers behind the HTTPS service: which one, over which connection.

Implements `interfaces.web_servers` with aiohttp's client: connections are kept and used again,
addresses resolved anew and both families tried (RFC 8305), certificates verified. A request goes
to the next server only if no octet of it was sent: who else could tell whether it was carried out?
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from mailfront.backend.upstream.balance import Balance
from mailfront.backend.upstream.connecting import told
from mailfront.configuration.upstream_list import Upstream, UpstreamTls
from mailfront.errors import WebServerError
from mailfront.interfaces.web_servers import WebRequest

_log = logging.getLogger("mailfront.upstream")

# A server's line or header field; aiohttp takes 128 of them.
FIELD_LIMIT = 16 * 1024
# The largest message of a WebSocket, which is in memory as a whole.
WEB_SOCKET_LIMIT = 16 * 1024 * 1024
# Less than the five seconds after which common servers close idle connections themselves.
_IDLE_SECONDS = 4.0
_RESOLVED_FOR = 5
_CLOSE_SECONDS = 10.0
_PIECE = 64 * 1024
# Header fields that aiohttp would add of its own.
_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
# Nothing of the request was sent.
_UNREACHED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class WebUpstreams:
    """The servers of `service.http.upstream`. Used and closed inside the running loop.

    `context` gives the TLS context of the moment; `connect_timeout` and `silence` are seconds. With
    `by_address` a client stays with one server while that works, at every front end the same.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        context: Callable[[], ssl.SSLContext],
        *,
        connect_timeout: float,
        silence: float,
        by_address: bool,
    ) -> None:
        self._balance = Balance(upstreams)
        self._context = context
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout, sock_read=silence
        )
        self._by_address = by_address
        self._client: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def ask(self, request: WebRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """Part of `WebServers`."""
        for upstream in self._candidates(request.client):
            try:
                response = await self._session().request(
                    request.method,
                    _url(upstream, request.target),
                    headers=request.headers,
                    data=request.body,
                    allow_redirects=False,
                    ssl=self._tls(upstream),
                    server_hostname=_name(upstream),
                )
            except _UNREACHED as failure:
                self._failed(upstream, failure)
                continue
            except (aiohttp.ClientError, OSError) as failure:
                raise _lost(upstream, failure) from failure
            self._balance.began(upstream)
            try:
                yield response
            finally:
                self._balance.ended(upstream)
                # What was read to its end has gone back to the others already.
                response.close()
            return
        raise _nobody()

    @asynccontextmanager
    async def open_web_socket(
        self, request: WebRequest, protocols: tuple[str, ...]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Part of `WebServers`."""
        for upstream in self._candidates(request.client):
            try:
                socket = await self._session().ws_connect(
                    _url(upstream, request.target),
                    protocols=protocols,
                    headers=request.headers,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
                    autoclose=False,
                    autoping=False,
                    max_msg_size=WEB_SOCKET_LIMIT,
                    ssl=self._tls(upstream),
                    server_hostname=_name(upstream),
                )
            except aiohttp.WSServerHandshakeError as refusal:
                raise _refused(refusal) from refusal
            except _UNREACHED as failure:
                self._failed(upstream, failure)
                continue
            except (aiohttp.ClientError, OSError) as failure:
                raise _lost(upstream, failure) from failure
            self._balance.began(upstream)
            try:
                yield socket
            finally:
                self._balance.ended(upstream)
                await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
            return
        raise _nobody()

    async def examine(self) -> list[str]:
        """Try a request to each server; return what is wrong."""
        problems = []
        for upstream in self._balance.candidates(time.monotonic()):
            try:
                async with self._session().head(
                    _url(upstream, "/"),
                    allow_redirects=False,
                    ssl=self._tls(upstream),
                    server_hostname=_name(upstream),
                ):
                    continue
            except (aiohttp.ClientError, OSError) as failure:
                problems.append(f"{upstream}: {_problem(failure)}")
        return problems

    def problems(self) -> list[str]:
        """What is wrong with servers, for the status."""
        return self._balance.problems()

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=_IDLE_SECONDS, ttl_dns_cache=_RESOLVED_FOR
                ),
                timeout=self._timeout,
                # Cookies are the client's business, and so is what a body is encoded with.
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_OURS,
                read_bufsize=_PIECE,
                max_line_size=FIELD_LIMIT,
                max_field_size=FIELD_LIMIT,
            )
        return self._client

    def _candidates(self, client: str) -> list[Upstream]:
        able = self._balance.candidates(time.monotonic())
        return sorted(able, key=lambda one: _weight(client, one)) if self._by_address else able

    def _tls(self, upstream: Upstream) -> ssl.SSLContext | bool:
        return self._context() if upstream.tls is UpstreamTls.IMPLICIT else True

    def _failed(self, upstream: Upstream, failure: Exception) -> None:
        problem = _problem(failure)
        if self._balance.failed(upstream, problem, time.monotonic()):
            _log.error("upstream=%s protocol=http %s", upstream, problem)


def _url(upstream: Upstream, target: str) -> URL:
    """The URL of a request; not an octet of path and query is spelled anew."""
    path, _, query = target.partition("?")
    return URL.build(
        scheme="https" if upstream.tls is UpstreamTls.IMPLICIT else "http",
        host=upstream.host,
        port=upstream.port,
        path=path,
        query_string=query,
        encoded=True,
    )


def _name(upstream: Upstream) -> str | None:
    return upstream.certificate_name if upstream.tls is UpstreamTls.IMPLICIT else None


def _weight(client: str, upstream: Upstream) -> bytes:
    """Rendezvous hashing: the lowest is the client's, and a server that comes or goes moves no one
    but its own. An IPv6 client is its /64."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        place = client
    else:
        length = 64 if address.version == 6 else 32
        place = str(ipaddress.ip_network((address, length), strict=False))
    return hashlib.sha256(f"{place} {upstream}".encode()).digest()


def _problem(failure: Exception) -> str:
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        cause = failure.certificate_error
        return f"its certificate: {getattr(cause, 'verify_message', cause)}"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return told(failure.os_error)
    return told(failure)


def _lost(upstream: Upstream, failure: Exception) -> WebServerError:
    silent = isinstance(failure, TimeoutError)
    text = "no answer in time" if silent else f"{type(failure).__name__}: {failure}"
    return WebServerError(f"upstream={upstream} {text}", status=504 if silent else 502)


def _nobody() -> WebServerError:
    return WebServerError("no upstream can be reached", status=503)


def _refused(refusal: aiohttp.WSServerHandshakeError) -> WebServerError:
    """A server that answers anything but a WebSocket: its own refusal, or nonsense."""
    status = refusal.status if refusal.status >= 300 else 502
    headers = tuple((refusal.headers or {}).items())
    return WebServerError(
        f"a WebSocket was refused: {refusal.status}", status=status, headers=headers
    )
