from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailfront.errors import MailboxError
from mailfront.store.mailboxes import Mailboxes


@pytest.fixture
def mailboxes(tmp_path: Path) -> Mailboxes:
    mailboxes = Mailboxes(tmp_path / "example.test" / "alice" / "Maildir")
    assert mailboxes.prepare()
    return mailboxes


def plainly(old: str, new: str, path: Path, move: Callable[[], None]) -> None:
    move()


def test_a_new_maildir_has_the_default_mailboxes_and_is_made_once(mailboxes: Mailboxes) -> None:
    assert set(mailboxes.directories()) == {"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"}
    assert not mailboxes.prepare()
    assert [path.name for path in mailboxes.root.parent.iterdir() if path.is_dir()] == ["Maildir"]


def test_a_maildir_of_another_program_is_taken_as_it_is(tmp_path: Path) -> None:
    mailboxes = Mailboxes(tmp_path / "Maildir")
    for name in ("cur", ".Lists.python/cur"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    assert not mailboxes.prepare()
    assert set(mailboxes.directories()) == {"INBOX", "Lists/python"}


def test_a_mailbox_is_created_once(mailboxes: Mailboxes) -> None:
    mailboxes.create("Work/2024")
    assert mailboxes.path_of("Work/2024") == mailboxes.root / ".Work.2024"
    with pytest.raises(MailboxError) as refusal:
        mailboxes.create("Work/2024")
    assert refusal.value.code == "ALREADYEXISTS"
    with pytest.raises(MailboxError) as refusal:
        mailboxes.path_of("Work")
    assert refusal.value.code == "NONEXISTENT"


def test_removal_takes_the_mailbox_and_leaves_its_children(mailboxes: Mailboxes) -> None:
    mailboxes.create("Work")
    mailboxes.create("Work/2024")
    mailboxes.remove("Work")
    assert "Work/2024" in mailboxes.directories()
    assert "Work" not in mailboxes.directories()
    assert list((mailboxes.root / "tmp").iterdir()) == []
    for name, code in (("Work", "NONEXISTENT"), ("INBOX", "CANNOT")):
        with pytest.raises(MailboxError) as refusal:
            mailboxes.remove(name)
        assert refusal.value.code == code


def test_a_mailbox_is_renamed_with_its_children_and_its_role(mailboxes: Mailboxes) -> None:
    mailboxes.create("Sent/2024")
    mailboxes.rename("Sent", "Old/Sent", plainly)
    present = mailboxes.directories()
    assert {"Old/Sent", "Old/Sent/2024"} <= set(present)
    assert "Sent" not in present
    assert mailboxes.roles()["Old/Sent"] == "\\Sent"
    assert "Sent" not in mailboxes.roles()


def test_a_mailbox_can_move_below_itself(mailboxes: Mailboxes) -> None:
    mailboxes.create("A")
    mailboxes.create("A/B")
    mailboxes.rename("A", "A/C", plainly)
    assert {"A/C", "A/C/B"} <= set(mailboxes.directories())


def test_a_rename_onto_something_is_refused(mailboxes: Mailboxes) -> None:
    mailboxes.create("A/B")
    mailboxes.create("C/B")
    for old, new, code in (
        ("A", "C", "ALREADYEXISTS"),
        ("Trash", "Trash", "ALREADYEXISTS"),
        ("None", "Some", "NONEXISTENT"),
    ):
        with pytest.raises(MailboxError) as refusal:
            mailboxes.rename(old, new, plainly)
        assert refusal.value.code == code


def test_a_rename_that_fails_half_way_is_undone(mailboxes: Mailboxes) -> None:
    for name in ("A", "A/B", "A/C"):
        mailboxes.create(name)

    def fail_at_last(old: str, new: str, path: Path, move: Callable[[], None]) -> None:
        if old == "A/C":
            raise OSError(28, "No space left on device")
        move()

    with pytest.raises(OSError, match="No space"):
        mailboxes.rename("A", "Z", fail_at_last)
    present = mailboxes.directories()
    assert {"A", "A/B", "A/C"} <= set(present)
    assert not any(name.startswith("Z") for name in present)


def test_a_uid_validity_is_never_given_twice(mailboxes: Mailboxes) -> None:
    values = [mailboxes.new_uid_validity() for _ in range(5)]
    assert len(set(values)) == 5
    assert values == sorted(values)
    assert Mailboxes(mailboxes.root).new_uid_validity() > values[-1]


def test_a_role_can_be_given(mailboxes: Mailboxes) -> None:
    mailboxes.create("Papierkorb")
    mailboxes.set_role("Papierkorb", "\\Trash")
    assert mailboxes.roles()["Papierkorb"] == "\\Trash"
    assert mailboxes.roles()["Drafts"] == "\\Drafts"
