"""Sign in and out.

Before sign-in a random cookie and the same value in the form prove that the form is ours. A
successful sign-in always begins a new session with a new token; whatever the browser offered before
is dropped. Every failure looks the same.
"""

from __future__ import annotations

import logging
import secrets

from aiohttp import web

from mailfront.front.http.forms import SMALL_FORM, read_form
from mailfront.front.http.services import SESSION_COOKIE, services_of, session_of, signed_in
from mailfront.front.http.sessions import Session
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret

_log = logging.getLogger("mailfront.front.http")

SIGN_IN_COOKIE = "__Host-sign-in"
FAILURE = "The address or the password is wrong."
LATER = "Signing in is not possible right now. Try again in a moment."
_INPUT_LIMIT = 1024


async def start(request: web.Request) -> web.StreamResponse:
    """`/`: to the mail, or to sign in."""
    raise web.HTTPSeeOther("/sign-in" if session_of(request) is None else "/mail")


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /sign-in`."""
    if session_of(request) is not None:
        raise web.HTTPSeeOther("/mail")
    return _form(request, status=200, problem="", login="")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """`POST /sign-in`: 401 with the form again, or on to the mail with a new session."""
    expected = request.cookies.get(SIGN_IN_COOKIE, "")
    if len(expected) < 40:
        raise web.HTTPForbidden(text="This page is out of date. Go back, reload it and try again.")
    fields = await read_form(request, expected, limit=SMALL_FORM)
    login, password = fields.get("login", "").strip(), fields.get("password", "")
    if not login or not password or max(len(login), len(password)) > _INPUT_LIMIT:
        return _form(request, status=401, problem=FAILURE, login=login[:_INPUT_LIMIT])
    services, peer = services_of(request), peer_of(request)
    result = await services.authenticator.authenticate(
        "http", login, Secret(password), peer, "FORM"
    )
    if isinstance(result, Refusal):
        _log.info("service=http peer=%s event=refused reason=%s", peer, result.reason)
        if result.temporary:
            return _form(request, status=503, problem=LATER, login=login)
        return _form(request, status=401, problem=FAILURE, login=login)
    services.sessions.close(request.cookies.get(SESSION_COOKIE, ""))
    token, _ = services.sessions.open(result)
    _log.info("service=http peer=%s event=signed-in user=%s", peer, result.user)
    response = web.HTTPSeeOther("/mail")
    _set_cookie(response, SESSION_COOKIE, token)
    response.del_cookie(SIGN_IN_COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
    raise response


@signed_in
async def sign_out(request: web.Request, session: Session) -> web.StreamResponse:
    """`POST /sign-out`."""
    await read_form(request, session.csrf_token, limit=SMALL_FORM)
    services_of(request).sessions.close(request.cookies[SESSION_COOKIE])
    _log.info(
        "service=http peer=%s event=signed-out user=%s", peer_of(request), session.identity.user
    )
    response = web.HTTPSeeOther("/sign-in")
    response.del_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
    raise response


def peer_of(request: web.Request) -> Peer:
    """The two ends of the connection that `request` came on."""
    transport = request.transport
    remote = transport.get_extra_info("peername") if transport else None
    local = transport.get_extra_info("sockname") if transport else None
    address, port = (remote or ("", 0))[:2]
    local_address, local_port = (local or ("", 0))[:2]
    return Peer(str(address), int(port), str(local_address), int(local_port))


def _form(request: web.Request, *, status: int, problem: str, login: str) -> web.Response:
    token = secrets.token_urlsafe(32)
    response = services_of(request).pages.render(
        "sign_in.html", status=status, problem=problem, login=login, form_token=token
    )
    _set_cookie(response, SIGN_IN_COOKIE, token)
    return response


def _set_cookie(response: web.StreamResponse, name: str, value: str) -> None:
    # The prefix __Host- makes browsers insist on Secure, this host and the whole path.
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Strict")
