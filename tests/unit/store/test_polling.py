from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from mailfront.store import polling
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox_contents import MailboxContents

ALICE = "alice@example.test"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "INTERVAL_SECONDS", 0.01)


async def test_who_waits_hears_of_another_programs_delivery(store: MailStore) -> None:
    with store.account(ALICE).opened("INBOX") as mailbox:
        watch = mailbox.watch()
        signal = watch.signal()
        (mailbox._storage.maildir.new / "1.a").write_bytes(b"x\r\n")
        await asyncio.wait_for(signal, 20)
        assert watch.take().arrived == [1]
        mailbox.unwatch(watch)


async def test_who_waits_hears_of_another_processs_keywords(store: MailStore) -> None:
    other = MailStore(store.root)
    with store.account(ALICE).opened("INBOX") as mailbox:
        uid = mailbox.append([b"x"])
        watch = mailbox.watch()
        signal = watch.signal()
        with other.account(ALICE).opened("INBOX") as elsewhere:
            second = elsewhere.append([b"y"])
            elsewhere.expunge([uid])
        while watch.take().expunged != [uid]:
            await asyncio.wait_for(signal, 20)
            signal = watch.signal()
        assert list(mailbox.uids()) == [second]
        mailbox.unwatch(watch)
    other.close()


async def test_nothing_is_looked_at_while_nobody_waits(
    store: MailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.account(ALICE).opened("INBOX") as mailbox:
        watch = mailbox.watch()
        watch.signal()
        watch.silence()
        looks: list[bool] = []
        monkeypatch.setattr(type(mailbox), "has_news", lambda _: looks.append(True))
        await asyncio.sleep(0.05)
        assert looks == []
        assert store._poller._timer is None


async def test_many_mailboxes_are_looked_at_in_portions(
    store: MailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "LOOKS_AT_A_TIME", 2)
    account = store.account(ALICE)
    names = ["INBOX", "Sent", "Trash", "Junk", "Drafts"]
    mailboxes = [account.open(name) for name in names]
    portions: dict[float, list[str]] = {}
    turn = 0

    def looked(mailbox: MailboxContents) -> bool:
        portions.setdefault(turn, []).append(mailbox.name)
        return False

    monkeypatch.setattr(MailboxContents, "has_news", looked)
    watches = [mailbox.watch() for mailbox in mailboxes]
    for watch in watches:
        watch.signal()
    while sum(map(len, portions.values())) < len(names):
        await asyncio.sleep(0)
        turn += 1
    assert [len(portion) for portion in portions.values()] == [2, 2, 1]
    assert sorted(chain.from_iterable(portions.values())) == sorted(names)
    for mailbox, watch in zip(mailboxes, watches, strict=True):
        mailbox.unwatch(watch)
        mailbox.close()
