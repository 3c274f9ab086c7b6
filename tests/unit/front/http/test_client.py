"""Who is behind a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from mailfront.front.http.client import (
    certificate_digest,
    certificate_of,
    client_of,
    upgradable_transport,
)
from mailfront.interfaces.authenticator import LoginClient
from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.peer import Peer
from tests.support.memory_browser import LOCAL, PEER, MemoryTransport
from tests.support.smtp_session import TLS

CERTIFICATE = ClientCertificate(b"leaf")


def request(transport: MemoryTransport | None) -> Any:
    return make_mocked_request("GET", "/", transport=transport)


def test_the_ends_of_the_connection_and_the_certificate_are_told() -> None:
    certified = MemoryTransport(replace(TLS, client_certificate=CERTIFICATE))
    expected = LoginClient("http", Peer(*PEER, *LOCAL), "FORM", CERTIFICATE)
    assert client_of(request(certified), "FORM") == expected


@pytest.mark.parametrize("make", [MemoryTransport, lambda: MemoryTransport(TLS)])
def test_without_tls_or_a_certificate_there_is_none(make: Callable[[], MemoryTransport]) -> None:
    assert certificate_of(request(make())) is None


def test_a_certificate_is_remembered_by_its_digest() -> None:
    assert certificate_digest(None) == b""
    assert len(certificate_digest(CERTIFICATE)) == 32
    assert certificate_digest(CERTIFICATE) != certificate_digest(ClientCertificate(b"other"))


def test_over_a_transport_that_knows_nothing_of_tls_there_is_no_certificate() -> None:
    assert upgradable_transport(request(cast(MemoryTransport, asyncio.Transport()))) is None
    assert certificate_of(request(cast(MemoryTransport, asyncio.Transport()))) is None
