"""What an operator asks for is read strictly, and done to the messages that are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.errors import OperatorError
from mailfront.queue.entry import State
from mailfront.queue.operating import Action, Request, perform
from tests.support.mail_queues import ScriptedServers, letter, letter_to, queue_site

ONE = "0123456789abcdef"


@pytest.mark.parametrize(
    "request_",
    [
        Request(Action.HOLD, (ONE, "89abcdef")),
        Request(Action.DELETE, everything=True),
        Request(Action.RETRY, destination="there.example"),
    ],
)
def test_a_request_is_read_as_it_was_written(request_: Request) -> None:
    assert Request.parse(request_.text()) == request_


@pytest.mark.parametrize(
    "text",
    ["", "delete", "burn --all", "delete ../../etc", "hold --destination", f"hold {ONE} --all",
     "hold --destination a@b", "hold --destination %"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(OperatorError):
        Request.parse(text)


@pytest.mark.parametrize(
    ("names", "destination", "everything"),
    [((), "", False), ((ONE,), "", True), ((), "x.example", True), ((ONE,), "x.example", False),
     (("--all",), "", False), (("",), "", False), ((), "--all x", False)],
)  # fmt: skip
def test_all_messages_are_never_meant_unless_that_is_said(
    names: tuple[str, ...], destination: str, everything: bool
) -> None:
    with pytest.raises(OperatorError):
        Request(Action.DELETE, names, destination, everything)


async def test_messages_are_held_released_and_deleted(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to("a@one.example"), letter())
        await site.sink.accept(letter_to("b@two.example"), letter())
        await site.queue.take_in()
        held = await perform(site.queue, Request(Action.HOLD, destination="one.example"))
        assert (held.messages, held.recipients) == (1, 1)
        (name,) = await site.queue.select("one.example")
        mail = await site.queue.find(name)
        assert mail is not None
        assert mail.recipients[0].state is State.HELD
        released = await perform(site.queue, Request(Action.RELEASE, (name, ONE)))
        assert (released.recipients, released.unknown) == (1, (ONE,))
        assert (await perform(site.queue, Request(Action.RETRY, everything=True))).recipients == 2
        assert (await perform(site.queue, Request(Action.DELETE, everything=True))).messages == 2
        assert (await site.queue.size()).messages == 0
