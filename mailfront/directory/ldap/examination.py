"""Whether each LDAP server can be used as configured: what `mailfront check` tells of them.

Takes the settings and a TLS context, returns a sentence for each fault: no connection, TLS, a
refused bind, a base that is not there.
"""

from __future__ import annotations

import asyncio
import ssl

from mailfront.directory.ldap.connection import ConnectionFailedError, LdapConnection, connect
from mailfront.directory.ldap.server import LdapServer
from mailfront.directory.ldap.settings import LdapSettings
from mailfront.protocol.ldap_filter import EVERYTHING, to_text
from mailfront.protocol.ldap_filter_encoding import encode_filter
from mailfront.protocol.ldap_messages import ResultCode


async def examine(settings: LdapSettings, context: ssl.SSLContext) -> list[str]:
    """Return what is wrong, server by server; nothing if all can be used."""
    problems = await asyncio.gather(
        *(_examine(server, settings, context) for server in settings.servers)
    )
    return [
        f"LDAP server {server}: {problem}"
        for server, problem in zip(settings.servers, problems, strict=True)
        if problem
    ]


async def _examine(server: LdapServer, settings: LdapSettings, context: ssl.SSLContext) -> str:
    connection: LdapConnection | None = None
    try:
        async with asyncio.timeout(settings.connect_timeout):
            connection = await connect(server, context)
            return await _look(connection, settings)
    except TimeoutError:
        return f"no answer within {settings.connect_timeout:g} seconds"
    except ConnectionFailedError as error:
        return str(error)
    finally:
        if connection is not None:
            connection.close()


async def _look(connection: LdapConnection, settings: LdapSettings) -> str:
    """Bind and look at the base; return what fails."""
    password = settings.bind_password.reveal().encode("utf-8")
    result = await connection.bind(settings.bind_name, password)
    if result.code != ResultCode.SUCCESS:
        return f"bind as {settings.bind_name or 'anonymous'} is refused: {result}"
    found, result = await connection.search(
        settings.base, encode_filter(to_text(EVERYTHING)), ("objectClass",),
        size_limit=1, time_limit=int(settings.search_timeout), subtree=False,
    )  # fmt: skip
    if settings.base and (result.code != ResultCode.SUCCESS or not found):
        return f"there is no base {settings.base}, or it may not be read: {result}"
    return ""
