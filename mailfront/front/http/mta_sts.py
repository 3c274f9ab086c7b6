"""The MTA-STS policy of our own domains (RFC 8461 section 3.2), for other mail servers.

Served only under the hosts `mta-sts.DOMAIN` that the settings name: under another name of this
machine it would be the policy of nobody.
"""

from __future__ import annotations

from aiohttp import web

from mailfront.front.http.services import services_of


async def policy(request: web.Request) -> web.StreamResponse:
    """The policy, or 404 for a host that has none."""
    settings = services_of(request).settings
    host = request.host.partition(":")[0].lower().rstrip(".")
    if host not in settings.policy_hosts:
        raise web.HTTPNotFound
    return web.Response(text=settings.mta_sts_policy, content_type="text/plain", charset="utf-8")
