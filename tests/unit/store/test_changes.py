from __future__ import annotations

import asyncio
import threading
from array import array

import pytest

from mailfront.store.changes import Changes, Watch


def new_watch() -> tuple[Watch, list[bool]]:
    waiting: list[bool] = []
    return Watch(array("I", [1, 2, 3]), lambda _, now: waiting.append(now)), waiting


def test_changes_are_taken_once_and_in_order() -> None:
    watch, _ = new_watch()
    watch.record(expunged=[3, 1], arrived=[5, 4], flagged=[2])
    assert watch.pending
    assert watch.take() == Changes([1, 3], [4, 5], [2])
    assert not watch.take()


def test_a_message_that_came_and_went_is_not_told() -> None:
    watch, _ = new_watch()
    watch.record(expunged=[], arrived=[4], flagged=[])
    watch.record(expunged=[], arrived=[], flagged=[4])
    watch.record(expunged=[4], arrived=[], flagged=[])
    assert watch.take() == Changes([], [], [])


def test_expunges_can_be_held_back() -> None:
    watch, _ = new_watch()
    watch.record(expunged=[1], arrived=[4], flagged=[2])
    assert watch.take(expunges=False) == Changes([], [4], [2])
    assert watch.take() == Changes([1], [], [])


def test_flags_that_the_client_was_told_are_forgotten() -> None:
    watch, _ = new_watch()
    watch.record(expunged=[], arrived=[], flagged=[1, 2])
    watch.acknowledge([1])
    assert watch.take().flagged == [2]


async def test_a_signal_is_done_when_another_thread_records_a_change() -> None:
    watch, waiting = new_watch()
    signal = watch.signal()
    assert waiting == [True]
    thread = threading.Thread(
        target=lambda: watch.record(expunged=[1], arrived=[], flagged=[]), name="writer"
    )
    thread.start()
    await asyncio.wait_for(signal, 10)
    thread.join()
    assert watch.take().expunged == [1]
    assert not watch.signal().done()


async def test_a_signal_is_done_at_once_when_something_is_pending() -> None:
    watch, _ = new_watch()
    watch.record(expunged=[1], arrived=[], flagged=[])
    assert watch.signal().done()


async def test_silence_ends_the_waiting() -> None:
    watch, waiting = new_watch()
    signal = watch.signal()
    watch.silence()
    assert waiting == [True, False]
    with pytest.raises(asyncio.CancelledError):
        await signal
