"""Names and defaults of the admin listener's options."""

from __future__ import annotations

from mailfront.configuration.options.admin import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {"service.admin.port": "0"}
