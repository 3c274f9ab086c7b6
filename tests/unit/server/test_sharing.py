"""The options of sharing, joined; the store itself is tested in tests/interop."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.keystore.internal_token import InternalToken
from mailfront.server.server_trust import ServerTrust
from mailfront.server.sharing import Sharing, check_sharing
from mailfront.tls.personality import ContextSlot
from tests.support.keystores import CHEAP, PASSWORD
from tests.support.ports import free_ports

TICKETS = {"local.ssl.ticketkeystore": "shared"}
THROTTLE = {"service.throttlestore": "shared"}


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    (tmp_path / "config").mkdir()
    secret = tmp_path / "config" / "site.secret"
    secret.write_text("s" * 32)
    secret.chmod(0o600)
    return ServerRoot(tmp_path)


@pytest.fixture
def token(tmp_path: Path) -> InternalToken:
    return InternalToken.create(tmp_path / "keystore.sqlite", PASSWORD, cost=CHEAP)


@pytest.fixture
def url() -> dict[str, str]:
    """A store that is away."""
    return {"local.sharedstore.url": f"redis://127.0.0.1:{free_ports(1)[0]}"}


def test_without_options_nothing_is_shared(root: ServerRoot, token: InternalToken) -> None:
    slot = ContextSlot("imap", ())
    sharing = Sharing(root, Configuration.of({}), ServerTrust(token))
    sharing.give_ticket_keys([slot])
    assert sharing.throttle is None
    assert slot.ticket_keys.shared is None
    assert sharing.problems() == []
    assert check_sharing(root, Configuration.of({}), token) == []


def test_each_is_shared_as_asked(
    root: ServerRoot, token: InternalToken, url: dict[str, str]
) -> None:
    slots = [ContextSlot(service, ()) for service in ("imap", "pop")]
    Sharing(root, Configuration.of(url | THROTTLE), ServerTrust(token)).give_ticket_keys(slots)
    assert not any(slot.ticket_keys.shared for slot in slots)
    sharing = Sharing(root, Configuration.of(url | TICKETS), ServerTrust(token))
    sharing.give_ticket_keys(slots)
    assert sharing.throttle is None
    assert len({slot.ticket_keys.shared for slot in slots}) == 1
    assert all(slot.ticket_keys.shared for slot in slots)
    assert Sharing(root, Configuration.of(url | THROTTLE), ServerTrust(token)).throttle is not None


def test_the_check_tells_of_a_store_that_is_away(
    root: ServerRoot, token: InternalToken, url: dict[str, str]
) -> None:
    (problem,) = check_sharing(root, Configuration.of(url | TICKETS), token)
    assert problem.startswith("local.sharedstore.url: ")
    assert "refused" in problem.lower() or "Connect call failed" in problem


def test_wrong_options_stop_the_start(root: ServerRoot, token: InternalToken) -> None:
    with pytest.raises(ConfigurationError):
        Sharing(root, Configuration.of(TICKETS), ServerTrust(token))
