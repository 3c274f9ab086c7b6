"""What surrounds every handler: security headers, limits of time, and errors made friendly.

No page says what went wrong inside: an unexpected error gets a reference number, and its details
go to the log under that number.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets

from aiohttp import web

from mailfront.errors import BackendError
from mailfront.front.http.services import Handler, is_admin, services_of, session_of

_log = logging.getLogger("mailfront.front.http")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_TITLES = {
    400: "That request makes no sense",
    403: "Not allowed",
    404: "There is nothing here",
    405: "Not allowed",
    408: "That took too long",
    413: "That is too large",
    415: "That cannot be read",
    502: "Not possible right now",
    503: "Not possible right now",
    504: "Not possible right now",
}


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Signal `on_response_prepare`: headers that every answer has, unless a handler set its own."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "mailfront"


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure with a page; let redirections pass."""
    if not HOST.fullmatch(request.headers.get("Host", "")):
        return error_page(request, 400)
    try:
        async with asyncio.timeout(services_of(request).settings.request_timeout):
            return await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as problem:
        response = error_page(request, problem.status, _own_text(problem))
        if "Allow" in problem.headers:
            response.headers["Allow"] = problem.headers["Allow"]
        return response
    except TimeoutError:
        return error_page(request, 408)
    except (ConnectionError, web.RequestPayloadError):
        # The browser went away in the middle of its form.
        return error_page(request, 400)
    except BackendError as problem:
        _log.warning("path=%s backend: %s", request.rel_url.raw_path, problem)
        if problem.temporary:
            return error_page(
                request, 503, "The mail store does not answer. Try again in a moment."
            )
        return error_page(request, 404, "This folder or message does not exist any more.")
    except Exception:
        reference = secrets.token_hex(4)
        _log.exception("reference=%s path=%s failed", reference, request.rel_url.raw_path)
        return error_page(request, 500, f"Something went wrong here. Reference: {reference}")


def _own_text(problem: web.HTTPException) -> str:
    """The text that a handler chose; aiohttp's own (`404: Not Found`) says nothing to people."""
    text = problem.text or ""
    return "" if re.match(r"\d{3}: |Maximum request body", text) else text


def error_page(request: web.Request, status: int, text: str = "") -> web.Response:
    """The page that says in a few words why there is no other."""
    session = session_of(request)
    return services_of(request).pages.render(
        "error.html",
        session=session,
        admin=session is not None and is_admin(request, session),
        status=status,
        title=_TITLES.get(status, "Something went wrong"),
        text=text,
    )
