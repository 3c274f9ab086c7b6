"""What the machine calls itself."""

from __future__ import annotations

import socket

import pytest

from mailfront.configuration.machine import machine_name


def test_the_full_name_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: "mail.example.org")
    assert machine_name() == "mail.example.org"


@pytest.mark.parametrize("resolved", ["localhost", "localhost.localdomain"])
def test_localhost_is_nobodys_name(monkeypatch: pytest.MonkeyPatch, resolved: str) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: resolved)
    monkeypatch.setattr(socket, "gethostname", lambda: "mail")
    assert machine_name() == "mail"
