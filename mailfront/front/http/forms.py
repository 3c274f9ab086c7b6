"""Forms that browsers post: bounded, decoded strictly, and proven to come from our own pages.

A form is accepted with the token that our page carried (in the session, or before sign-in in a
cookie: double submit) and only if the browser does not say that another site sent it.
"""

from __future__ import annotations

import asyncio
import hmac
from urllib.parse import parse_qsl

from aiohttp import web

FIELD_LIMIT = 32
SMALL_FORM = 16 * 1024
CSRF_FIELD = "csrf_token"
_THREAD_ABOVE = 256 * 1024


async def read_form(request: web.Request, csrf_token: str, *, limit: int) -> dict[str, str]:
    """The fields of a posted form of at most `limit` octets; of a repeated field the first.

    Raises the HTTP error that fits: 403 (not from our page), 413, 415 or 400.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text="This form was sent by another site.")
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    body = await request.clone(client_max_size=limit).read()
    if len(body) > _THREAD_ABOVE:
        fields = await asyncio.to_thread(_parse, body)
    else:
        fields = _parse(body)
    if not hmac.compare_digest(fields.get(CSRF_FIELD, "").encode(), csrf_token.encode()):
        raise web.HTTPForbidden(text="This page is out of date. Go back, reload it and try again.")
    return fields


def _parse(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FIELD_LIMIT,
        )
    except (UnicodeDecodeError, ValueError):
        raise web.HTTPBadRequest(text="This form cannot be read.") from None
    return dict(reversed(pairs))
