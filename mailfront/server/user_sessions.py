"""`mailfront user kick`: the sessions of one user, on every port and in webmail, are ended.

Takes an address, of which the directory says whose it is; returns how many sessions there were. A
running command is finished first, and the client is told in its protocol's words.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mailfront.directory.directory import Directory
from mailfront.errors import AddressError, DirectoryUnavailableError
from mailfront.front.http.sessions import SessionTable
from mailfront.listener.service_port import ServicePort
from mailfront.observability.connection_record import quoted
from mailfront.protocol.mail_address import canonical_address
from mailfront.server.control import Answer

_log = logging.getLogger("mailfront.server")


async def end_sessions(
    address: str, directory: Directory, ports: Sequence[ServicePort], webmail: SessionTable
) -> Answer:
    """Return `ended`, how many sessions end, and `user`, whose they were; or `error`."""
    try:
        user = canonical_address(address)
    except AddressError as error:
        return {"error": f"{address!r}: {error}"}
    try:
        entry = await directory.entry_for_address(user)
    except DirectoryUnavailableError:
        # Then the address is taken for the user's main one.
        entry = None
    if entry is not None:
        user = entry.user
    ended = sum(port.stop_user(user) for port in ports) + webmail.close_user(user)
    _log.info("user=%s %d sessions ended by the administrator", quoted(user), ended)
    return {"user": user, "ended": ended}
