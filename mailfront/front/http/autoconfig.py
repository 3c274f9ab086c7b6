"""Mail account settings for Thunderbird and those who read its format (autoconfig, version 1.1).

Asked at `/.well-known/autoconfig/mail/config-v1.1.xml` and `/mail/config-v1.1.xml`, before anybody
has signed in; it tells only what the greetings of the ports tell everybody.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from aiohttp import web

from mailfront.front.http.services import services_of
from mailfront.front.http.settings import MailAccess, WebSettings


async def autoconfig(request: web.Request) -> web.StreamResponse:
    """The settings; the query parameter `emailaddress` is not needed to tell them."""
    return web.Response(
        body=document(services_of(request).settings), content_type="text/xml", charset="utf-8"
    )


def document(settings: WebSettings) -> bytes:
    """The autoconfig document for the ports that are enabled."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=settings.domain)
    _add(provider, domain=settings.domain, displayName=settings.domain)
    _add(provider, displayShortName=settings.domain)
    for access in settings.mail_access:
        _add_server(provider, access, settings.hostname)
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _add_server(provider: Element, access: MailAccess, hostname: str) -> None:
    kind = "outgoingServer" if access.protocol == "smtp" else "incomingServer"
    server = SubElement(provider, kind, type=access.protocol)
    _add(
        server,
        hostname=hostname,
        port=str(access.port),
        socketType=access.socket_type,
        authentication="password-cleartext",
        username="%EMAILADDRESS%",
    )


def _add(parent: Element, **texts: str) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = text
