"""The options of the shared store, judged as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.sharing.settings import sharing_settings

URL = {"local.sharedstore.url": "redis://localhost"}
TICKETS = {"local.ssl.ticketkeystore": "shared"}
THROTTLE = {"service.throttlestore": "shared"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    write(tmp_path / "config" / "site.secret", "s" * 32)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_nothing_is_shared_unless_asked_for(root: Path) -> None:
    assert sharing_settings(Configuration.of({}), root) is None
    assert sharing_settings(Configuration.of(URL), root) is None


def test_each_thing_is_shared_by_itself(root: Path) -> None:
    for wanted, tickets, throttle in (
        (TICKETS, True, False),
        (THROTTLE, False, True),
        (TICKETS | THROTTLE, True, True),
    ):
        settings = sharing_settings(Configuration.of(URL | wanted), root)
        assert settings is not None
        assert (settings.ticket_keys, settings.throttle) == (tickets, throttle)
        assert settings.timeout == 0.05
        assert not settings.password


def test_sharing_needs_a_store_and_a_secret(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"local\.sharedstore\.url"):
        sharing_settings(Configuration.of(TICKETS), root)
    (root / "config" / "site.secret").unlink()
    with pytest.raises(ConfigurationError, match="no such file"):
        sharing_settings(Configuration.of(URL | TICKETS), root)


def test_the_password_is_read_where_the_url_names_a_user(root: Path) -> None:
    options = {"local.sharedstore.url": "redis://default@localhost"} | THROTTLE
    with pytest.raises(ConfigurationError, match="no such file"):
        sharing_settings(Configuration.of(options), root)
    write(root / "config" / "sharedstore.password", "hunter2\n")
    settings = sharing_settings(Configuration.of(options), root)
    assert settings is not None
    assert settings.password.reveal() == "hunter2"
    assert "hunter2" not in repr(settings)
