from __future__ import annotations

import asyncio

import pytest

from mailfront.store import polling
from mailfront.store.mail_store import MailStore

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
