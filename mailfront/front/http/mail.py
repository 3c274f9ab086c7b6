"""Folders, lists of messages, one message, and what can be downloaded from it."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlencode

from aiohttp import web

from mailfront.front.http.message_view import SAFE_IMAGES, Content, part_content, view_message
from mailfront.front.http.protection import CONTENT_SECURITY_POLICY
from mailfront.front.http.services import is_admin, services_of, signed_in
from mailfront.front.http.sessions import Session
from mailfront.interfaces.mail_reader import Folder

PAGE_LENGTH = 50
_HIGHEST_UID = 2**32 - 1
_FOLDER_NAME_LIMIT = 1000


@signed_in
async def list_messages(request: web.Request, session: Session) -> web.StreamResponse:
    """`GET /mail?folder=…&page=…`: one page of a folder, newest first."""
    services, user = services_of(request), session.identity.user
    folders = await services.reader.folders(user)
    folder = _known_folder(folders, folder_of(request))
    pages = max(1, -(-folder.messages // PAGE_LENGTH))
    page = min(_number(request, "page", default=1, highest=10**7), pages)
    messages = await services.reader.messages(
        user, folder.name, offset=(page - 1) * PAGE_LENGTH, limit=PAGE_LENGTH
    )
    return services.pages.render(
        "mailbox.html",
        session=session,
        admin=is_admin(request, session),
        folders=folders,
        folder=folder,
        messages=messages,
        page=page,
        pages=pages,
    )


@signed_in
async def read_message(request: web.Request, session: Session) -> web.StreamResponse:
    """`GET /mail/message?folder=…&uid=…[&formatted=1]`: one message."""
    services, user = services_of(request), session.identity.user
    folder, uid = folder_of(request), uid_of(request)
    message = await services.reader.message(user, folder, uid)

    def part_address(number: str) -> str:
        query = {"folder": folder, "uid": uid, "part": number, "image": 1}
        return "/mail/part?" + urlencode(query)

    view = await asyncio.to_thread(
        view_message, message, part_address, formatted=request.query.get("formatted") == "1"
    )
    return services.pages.render(
        "message.html",
        session=session,
        admin=is_admin(request, session),
        folders=await services.reader.folders(user),
        folder_name=folder,
        uid=uid,
        message=view,
        size=len(message),
    )


@signed_in
async def download_part(request: web.Request, session: Session) -> web.StreamResponse:
    """`GET /mail/part?folder=…&uid=…&part=…[&image=1]`: an attachment, or an image that the
    message shows."""
    services, user = services_of(request), session.identity.user
    message = await services.reader.message(user, folder_of(request), uid_of(request))
    content = await asyncio.to_thread(part_content, message, request.query.get("part", ""))
    if content is None:
        raise web.HTTPNotFound(text="This message has no such part.")
    as_image = request.query.get("image") == "1" and content.media_type in SAFE_IMAGES
    return _download(content, "inline" if as_image else "attachment")


@signed_in
async def download_source(request: web.Request, session: Session) -> web.StreamResponse:
    """`GET /mail/source?folder=…&uid=…`: the message as it came."""
    services, uid = services_of(request), uid_of(request)
    message = await services.reader.message(session.identity.user, folder_of(request), uid)
    return _download(Content(f"message-{uid}.eml", "message/rfc822", message), "attachment")


def folder_of(request: web.Request) -> str:
    """The folder that the query names; the inbox if none."""
    name = request.query.get("folder", "INBOX")
    if not 0 < len(name) <= _FOLDER_NAME_LIMIT or not name.isprintable():
        raise web.HTTPNotFound(text="There is no such folder.")
    return name


def uid_of(request: web.Request) -> int:
    """The UID that the query names."""
    return _number(request, "uid", default=0, highest=_HIGHEST_UID)


def _number(request: web.Request, name: str, *, default: int, highest: int) -> int:
    text = request.query.get(name)
    if text is None and default:
        return default
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise web.HTTPNotFound
    number = int(text)
    if not 1 <= number <= highest:
        raise web.HTTPNotFound
    return number


def _known_folder(folders: list[Folder], name: str) -> Folder:
    for folder in folders:
        if folder.name == name:
            return folder
    raise web.HTTPNotFound(text="There is no such folder.")


def _download(content: Content, disposition: str) -> web.Response:
    ascii_name = content.name.encode("ascii", "replace").decode().replace('"', "'")
    return web.Response(
        body=content.data,
        content_type=content.media_type,
        headers={
            "Content-Disposition": f'{disposition}; filename="{ascii_name.replace("?", "_")}"; '
            f"filename*=UTF-8''{quote(content.name, safe='')}",
            # Whatever a browser makes of the octets, it makes it without scripts and apart.
            "Content-Security-Policy": CONTENT_SECURITY_POLICY + "; sandbox",
        },
    )
