"""Sign in and out.

Before sign-in a random cookie and the same value in the form prove that the form is ours. A
successful sign-in always begins a new session with a new token; whatever the browser offered before
is dropped. Every failure looks the same. Who presents a certificate that maps to a user is offered
to go on as that user without a password; nobody is signed in by a certificate without a click.
"""

from __future__ import annotations

import logging
import secrets

from aiohttp import web

from mailfront.front.agreed_channel import channel_of
from mailfront.front.http.client import certificate_digest, client_of, peer_of, upgradable_transport
from mailfront.front.http.forms import SMALL_FORM, read_form
from mailfront.front.http.services import SESSION_COOKIE, services_of, session_of, signed_in
from mailfront.front.http.sessions import Session
from mailfront.front.login_channel import CLEAR, LoginChannel
from mailfront.interfaces.authenticator import Identity, Refusal
from mailfront.interfaces.credentials import (
    CertificateCredentials,
    Credentials,
    PasswordCredentials,
)
from mailfront.interfaces.secret import Secret

_log = logging.getLogger("mailfront.front.http")

SIGN_IN_COOKIE = "__Host-sign-in"
FAILURE = "The address or the password is wrong."
NOT_YOURS = "Your certificate does not sign you in here."
NO_PASSWORDS = "Passwords are not taken here. Sign in with your certificate."
LATER = "Signing in is not possible right now. Try again in a moment."
_INPUT_LIMIT = 1024


async def start(request: web.Request) -> web.StreamResponse:
    """`/`: to the mail, or to sign in."""
    home = services_of(request).settings.home
    raise web.HTTPSeeOther("/sign-in" if session_of(request) is None else home)


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /sign-in`."""
    if session_of(request) is not None:
        raise web.HTTPSeeOther(services_of(request).settings.home)
    return await _form(request, status=200, problem="", login="")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """`POST /sign-in`: 401 with the form again, or on to the mail with a new session."""
    fields = await _fields(request)
    login, password = fields.get("login", "").strip(), fields.get("password", "")
    if not services_of(request).settings.login.takes_passwords(_channel(request)):
        return await _form(request, status=403, problem=NO_PASSWORDS, login="")
    if not login or not password or max(len(login), len(password)) > _INPUT_LIMIT:
        return await _form(request, status=401, problem=FAILURE, login=login[:_INPUT_LIMIT])
    credentials = PasswordCredentials("", login, Secret(password))
    return await _authenticate(request, "FORM", credentials, login)


async def sign_in_with_certificate(request: web.Request) -> web.StreamResponse:
    """`POST /sign-in/certificate`: as whom the certificate of this connection is."""
    await _fields(request)
    if "EXTERNAL" not in services_of(request).settings.login.offered(_channel(request)):
        return await _form(request, status=403, problem=NOT_YOURS, login="")
    return await _authenticate(request, "EXTERNAL", CertificateCredentials(""), "")


async def _fields(request: web.Request) -> dict[str, str]:
    expected = request.cookies.get(SIGN_IN_COOKIE, "")
    if len(expected) < 40:
        raise web.HTTPForbidden(text="This page is out of date. Go back, reload it and try again.")
    return await read_form(request, expected, limit=SMALL_FORM)


async def _authenticate(
    request: web.Request, method: str, credentials: Credentials, login: str
) -> web.StreamResponse:
    services, client = services_of(request), client_of(request, method)
    result = await services.authenticator.authenticate(client, credentials)
    if isinstance(result, Refusal):
        _log.info("service=http peer=%s event=refused reason=%s", client.peer, result.reason)
        if result.temporary:
            return await _form(request, status=503, problem=LATER, login=login)
        failure = FAILURE if isinstance(credentials, PasswordCredentials) else NOT_YOURS
        return await _form(request, status=401, problem=failure, login=login)
    services.sessions.close(request.cookies.get(SESSION_COOKIE, ""))
    certificate = certificate_digest(client.certificate) if result.by_certificate else b""
    token, _ = services.sessions.open(result, certificate)
    _log.info(
        "service=http peer=%s event=signed-in user=%s method=%s",
        client.peer, result.user, result.method,
    )  # fmt: skip
    response = web.HTTPSeeOther(services.settings.home)
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


async def _form(request: web.Request, *, status: int, problem: str, login: str) -> web.Response:
    services, token = services_of(request), secrets.token_urlsafe(32)
    channel = _channel(request)
    holder: Identity | Refusal | None = None
    if channel.certificate and "EXTERNAL" in services.settings.login.offered(channel):
        holder = await services.authenticator.certificate_holder(client_of(request, "EXTERNAL"))
    response = services.pages.render(
        "sign_in.html",
        status=status,
        problem=problem,
        login=login,
        form_token=token,
        holder=holder.user if isinstance(holder, Identity) else "",
        passwords=services.settings.login.takes_passwords(channel),
    )
    _set_cookie(response, SIGN_IN_COOKIE, token)
    return response


def _channel(request: web.Request) -> LoginChannel:
    transport = upgradable_transport(request)
    if transport is None:
        return CLEAR
    return channel_of(transport, "http", services_of(request).authenticator, binding=False)


def _set_cookie(response: web.StreamResponse, name: str, value: str) -> None:
    # The prefix __Host- makes browsers insist on Secure, this host and the whole path.
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Strict")
