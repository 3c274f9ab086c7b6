"""The secret of a site and the keys that come from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.errors import ConfigurationError
from mailfront.interfaces.secret import Secret
from mailfront.sharing.site_secret import SiteSecret, read_site_secret

SECRET = "s" * 32


def test_each_purpose_and_each_secret_has_a_key_of_its_own() -> None:
    one, other = SiteSecret(Secret(SECRET)), SiteSecret(Secret("t" * 32))
    keys = {site.key(purpose) for site in (one, other) for purpose in ("a", "b")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert one.key("a") == SiteSecret(Secret(SECRET)).key("a")
    assert one.mark == SiteSecret(Secret(SECRET)).mark != other.mark


def test_the_file_must_hold_a_long_secret_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "site.secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="other users"):
        read_site_secret(path)
    path.chmod(0o600)
    assert read_site_secret(path).key("a") == SiteSecret(Secret(SECRET)).key("a")
    path.write_text("too short")
    with pytest.raises(ConfigurationError, match="shorter than 32") as caught:
        read_site_secret(path)
    assert "too short" not in str(caught.value)
