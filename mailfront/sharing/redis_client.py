"""The client of Redis and Valkey (redis-py), set up so that nothing waits behind our back.

Takes the settings and the TLS context for servers; gives the library's client. No retries of its
own, a bounded number of connections, and with TLS only those authorities that we trust: the
library's own context would trust those of the machine as well.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mailfront.sharing.settings import SharingSettings

CONNECTIONS = 8
FAILURES = (RedisError, OSError)
"""What a question to the store may end with, besides a time-out."""


class _TrustingConnection(SSLConnection):
    """A TLS connection with the context that counts when it is made."""

    def __init__(self, *, trust: Callable[[], ssl.SSLContext], **others: Any) -> None:
        super().__init__(**others)
        self.ssl_context.context = trust()


def make_client(
    settings: SharingSettings, trust: Callable[[], ssl.SSLContext], connect_timeout: float
) -> Redis:
    """Return a client that has no connection yet."""
    address = settings.address
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": address.database,
        "username": address.user or None,
        "password": settings.password.reveal() or None,
        "socket_timeout": connect_timeout,
        "socket_connect_timeout": connect_timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    connection_class: type[Connection] = Connection
    if address.tls:
        options["trust"] = trust
        connection_class = _TrustingConnection
    return Redis.from_pool(
        BlockingConnectionPool(
            max_connections=CONNECTIONS,
            timeout=connect_timeout,
            connection_class=connection_class,
            **options,
        )
    )
