"""Write a message, answer one, and send it by the submission path."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from mailfront.errors import AddressError, BackendError, SubmissionRefusedError
from mailfront.front.http.forms import read_form
from mailfront.front.http.mail import folder_of, uid_of
from mailfront.front.http.outgoing_message import Draft, build, reply_to
from mailfront.front.http.services import is_admin, services_of, signed_in
from mailfront.front.http.sessions import Session

_log = logging.getLogger("mailfront.front.http")


@signed_in
async def show(request: web.Request, session: Session) -> web.StreamResponse:
    """`GET /compose[?folder=…&uid=…[&everyone=1]]`: an empty form, or an answer to a message."""
    identity = session.identity
    if "uid" in request.query:
        message = await services_of(request).reader.message(
            identity.user, folder_of(request), uid_of(request)
        )
        everyone = request.query.get("everyone") == "1"
        draft = await asyncio.to_thread(
            reply_to, message, identity.addresses, identity.user, everyone=everyone
        )
    else:
        draft = Draft(sender=identity.user, to=request.query.get("to", "")[:320])
    return await _form(request, session, draft)


@signed_in
async def send(request: web.Request, session: Session) -> web.StreamResponse:
    """`POST /compose`: the sent message's sender goes back to the inbox; on a problem the form
    comes again with everything that was written."""
    services, identity = services_of(request), session.identity
    limit = services.settings.message_size_limit
    fields = await read_form(request, session.csrf_token, limit=limit)
    texts = {name: fields.get(name, "") for name in Draft.__dataclass_fields__}
    draft = Draft(**texts)
    if draft.sender not in identity.addresses:
        return await _form(request, session, draft, "Choose one of your own addresses as sender.")
    try:
        outgoing = await asyncio.to_thread(build, draft, services.settings.hostname)
        if len(outgoing.message) > limit:
            return await _form(request, session, draft, "The message is too large.", status=413)
        await services.submission.submit(
            identity.user, identity.addresses, outgoing.recipients, outgoing.message
        )
    except (AddressError, SubmissionRefusedError) as problem:
        return await _form(request, session, draft, str(problem))
    except BackendError as problem:
        _log.warning("user=%s submission: %s", identity.user, problem)
        text = "The message could not be taken right now. Try again in a moment."
        return await _form(request, session, draft, text, status=503)
    session.notice = "Message sent."
    try:
        await services.reader.file_sent(identity.user, outgoing.message)
    except BackendError as problem:
        _log.warning("user=%s file sent message: %s", identity.user, problem)
        session.notice = "Message sent, but no copy could be kept in the Sent folder."
    raise web.HTTPSeeOther("/mail")


async def _form(
    request: web.Request, session: Session, draft: Draft, problem: str = "", *, status: int = 422
) -> web.Response:
    services = services_of(request)
    return services.pages.render(
        "compose.html",
        session=session,
        admin=is_admin(request, session),
        status=status if problem else 200,
        folders=await services.reader.folders(session.identity.user),
        draft=draft,
        senders=sorted(session.identity.addresses),
        problem=problem,
    )
