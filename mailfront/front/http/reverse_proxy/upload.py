"""The body of a request on its way to the webmail, a piece at a time.

Takes the request; gives its pieces as the server behind takes them, within the limit of size and
of silence. What went wrong on the client's side is kept, since the sending side reports only that
the body ended early; half a body is never ended as if it were whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from mailfront.errors import PeerError


class Upload:
    """One body. `refusal` is the status that the client has earned by it, 0 for none."""

    def __init__(self, request: web.Request, *, limit: int, silence: float) -> None:
        self._request = request
        self._limit = limit
        self._silence = silence
        self.refusal = 0

    @property
    def exceeds(self) -> bool:
        """Whether the length that was announced is beyond the limit."""
        return bool(self._limit) and (self._request.content_length or 0) > self._limit

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. Raises `PeerError`, and what aiohttp raises if the client goes away."""
        await self._invite()
        taken = 0
        while True:
            try:
                async with asyncio.timeout(self._silence):
                    piece = await self._request.content.readany()
            except TimeoutError:
                self.refusal = web.HTTPRequestTimeout.status_code
                raise PeerError("the client sends nothing more of its body") from None
            except web.RequestPayloadError:
                self.refusal = web.HTTPBadRequest.status_code
                raise
            if not piece:
                return
            taken += len(piece)
            if self._limit and taken > self._limit:
                self.refusal = web.HTTPRequestEntityTooLarge.status_code
                raise PeerError("the body is larger than service.http.bodylimit")
            yield piece

    async def _invite(self) -> None:
        """Answer `Expect: 100-continue` once a server behind is there to take the body."""
        if self._request.headers.get("Expect", "").lower() != "100-continue":
            return
        writer = self._request.writer
        await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The answer proper has not begun.
        writer.output_size = 0
