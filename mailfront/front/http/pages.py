"""Templates to responses: one Jinja2 environment with escaping always on, and the static files."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib import resources

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from mailfront.front.http.sessions import Session

_STATIC_TYPES = {"mailfront.css": "text/css", "icon.svg": "image/svg+xml"}
_KIB = 1024


class Pages:
    """Renders pages. `hostname` names the server in titles."""

    def __init__(self, hostname: str) -> None:
        # PackageLoader checks for changed files unless told not to.
        self._environment = Environment(
            loader=PackageLoader("mailfront.front.http"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(short_date=short_date, long_date=long_date, octets=octets)
        self.static = {
            name: resources.files("mailfront.front.http").joinpath("static", name).read_bytes()
            for name in _STATIC_TYPES
        }
        digest = hashlib.sha256(b"".join(self.static.values())).hexdigest()[:12]
        self._environment.globals.update(hostname=hostname, static_version=digest)

    def render(
        self,
        template: str,
        *,
        session: Session | None = None,
        admin: bool = False,
        status: int = 200,
        **values: object,
    ) -> web.Response:
        """The page `template` for the person of `session` (None: nobody is signed in)."""
        text = self._environment.get_template(template).render(
            user=session.identity.user if session else None,
            csrf_token=session.csrf_token if session else None,
            notice=session.take_notice() if session else "",
            admin=admin,
            **values,
        )
        return web.Response(text=text, status=status, content_type="text/html")

    async def static_file(self, request: web.Request) -> web.Response:
        """Serve one of the static files; they are in memory, and nothing else can be named."""
        name = request.match_info["name"]
        if name not in self.static:
            raise web.HTTPNotFound
        return web.Response(
            body=self.static[name],
            content_type=_STATIC_TYPES[name],
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=86400"},
        )


def short_date(moment: datetime) -> str:
    """A time for a list: the hour today, the day this year, else the date."""
    local, now = moment.astimezone(), datetime.now(UTC).astimezone()
    if local.date() == now.date():
        return f"{local:%H:%M}"
    return f"{local.day} {local:%b}" if local.year == now.year else f"{local.day} {local:%b %Y}"


def long_date(moment: datetime) -> str:
    """A time in full, in the server's zone."""
    local = moment.astimezone()
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M %Z}"


def octets(count: int) -> str:
    """A size for people."""
    if count < _KIB:
        return f"{count} B"
    if count < _KIB * _KIB:
        return f"{count / _KIB:.0f} KB"
    return f"{count / _KIB / _KIB:.1f} MB"
