"""What webmail is told by the configuration."""

from __future__ import annotations

from mailfront.front.http.settings import WebSettings


def test_nobody_is_an_administrator_unless_named() -> None:
    assert WebSettings("mail.example.test", "example.test").admins == frozenset()
