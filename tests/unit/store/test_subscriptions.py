from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.errors import MailboxError
from mailfront.store import subscriptions as subscriptions_module
from mailfront.store.subscriptions import Subscriptions


def test_names_are_added_and_removed_in_order(tmp_path: Path) -> None:
    subscriptions = Subscriptions(tmp_path)
    assert subscriptions.names() == []
    subscriptions.change(add=("INBOX", "Entwürfe/v1.2", "Sent"))
    subscriptions.change(add=("Sent",), remove=("INBOX", "never there"))
    assert Subscriptions(tmp_path).names() == ["Entwürfe/v1.2", "Sent"]


def test_the_file_is_the_one_of_other_maildir_programs(tmp_path: Path) -> None:
    (tmp_path / "subscriptions").write_text("INBOX\nLists.python\nbad..name\nLists.python\n\n")
    subscriptions = Subscriptions(tmp_path)
    assert subscriptions.names() == ["INBOX", "Lists/python"]
    subscriptions.change(add=("R&D",))
    assert (tmp_path / "subscriptions").read_text() == "INBOX\nLists.python\nR&-D\n"


def test_there_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions_module, "MOST_SUBSCRIPTIONS", 2)
    with pytest.raises(MailboxError) as refusal:
        Subscriptions(tmp_path).change(add=("a", "b", "c"))
    assert refusal.value.code == "LIMIT"
    assert Subscriptions(tmp_path).names() == []
