"""The status page: services, certificates and live connections, for administrators only."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from mailfront.front.http.services import is_admin, services_of, signed_in
from mailfront.front.http.sessions import Session

WARN_DAYS = 14


@signed_in
async def show(request: web.Request, session: Session) -> web.StreamResponse:
    """`GET /status`."""
    if not is_admin(request, session):
        raise web.HTTPForbidden(text="This page is for administrators.")
    services = services_of(request)
    status = services.status.status()
    now = datetime.now(UTC)
    return services.pages.render(
        "status.html",
        session=session,
        admin=True,
        status_now=status,
        rows=[(port, days_left(port.expires, now)) for port in status.ports],
        uptime=duration((now - status.started).total_seconds()),
        warn_days=WARN_DAYS,
        sessions=len(services.sessions),
    )


async def healthz(_: web.Request) -> web.StreamResponse:
    """`GET /healthz`: the process answers; nothing more is told to strangers."""
    return web.Response(text="ok\n")


def days_left(expires: datetime | None, now: datetime) -> int | None:
    """Whole days until `expires` (negative: it is past), or None if nothing expires."""
    return None if expires is None else (expires - now).days


def duration(seconds: float) -> str:
    """A time span for people, in its two largest units."""
    minutes = max(int(seconds), 0) // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
