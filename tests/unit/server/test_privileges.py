"""Becoming an unprivileged user."""

from __future__ import annotations

import os
import pwd

import pytest

from mailfront.errors import ConfigurationError
from mailfront.server.privileges import drop_privileges


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What would be changed of this process; nothing is."""
    made: list[tuple[str, object]] = []
    monkeypatch.setattr(os, "initgroups", lambda name, group: made.append(("groups", name)))
    monkeypatch.setattr(os, "setgid", lambda group: made.append(("gid", group)))
    monkeypatch.setattr(os, "setuid", lambda user: made.append(("uid", user)))
    return made


def as_user(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: number)


def test_root_gives_up_groups_before_its_own_right_to_do_so(
    monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, object]]
) -> None:
    as_user(monkeypatch, 0)
    nobody = pwd.getpwnam("nobody")
    drop_privileges("nobody")
    assert changes == [("groups", "nobody"), ("gid", nobody.pw_gid), ("uid", nobody.pw_uid)]


def test_no_name_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, object]]
) -> None:
    as_user(monkeypatch, 0)
    drop_privileges("")
    assert changes == []


def test_whoever_is_that_user_already_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, object]]
) -> None:
    as_user(monkeypatch, pwd.getpwnam("nobody").pw_uid)
    drop_privileges("nobody")
    assert changes == []


def test_others_cannot_become_somebody_else(
    monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, object]]
) -> None:
    as_user(monkeypatch, 12345)
    with pytest.raises(ConfigurationError, match="only root can become the user 'nobody'"):
        drop_privileges("nobody")
    assert changes == []


def test_an_unknown_user_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names no user of this machine: 'nobdy'"):
        drop_privileges("nobdy")
