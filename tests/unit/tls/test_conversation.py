"""What a peer says, for one reader that waits."""

import asyncio

import pytest

from mailfront.errors import PeerGoneError
from mailfront.tls.conversation import Conversation


async def test_what_arrived_comes_in_one_piece() -> None:
    conversation = Conversation()
    conversation.data_received(b"220 ")
    conversation.data_received(b"ready\r\n")
    assert not conversation.is_empty()
    assert await conversation.received() == b"220 ready\r\n"
    assert conversation.is_empty()


async def test_a_reader_waits_for_the_first_octets() -> None:
    conversation = Conversation()
    asyncio.get_running_loop().call_soon(conversation.data_received, b"x")
    assert await conversation.received() == b"x"


async def test_what_came_before_the_end_is_read_before_it() -> None:
    conversation = Conversation()
    conversation.data_received(b"bye")
    conversation.connection_lost(None)
    assert conversation.has_ended
    assert await conversation.received() == b"bye"
    with pytest.raises(PeerGoneError):
        await conversation.received()


async def test_a_peer_that_talks_on_unasked_is_believed_nothing_more() -> None:
    conversation = Conversation()
    piece = b"x" * 65536
    for _ in range(17):
        conversation.data_received(piece)
    assert conversation.has_ended
    assert len(await conversation.received()) <= 1024 * 1024
    with pytest.raises(PeerGoneError):
        await conversation.received()


async def test_writing_waits_for_the_peer_to_take_more_or_to_speak() -> None:
    conversation = Conversation()
    await conversation.drained_or_arrived()
    for event in (conversation.resume_writing, lambda: conversation.data_received(b"452 full")):
        conversation.pause_writing()
        asyncio.get_running_loop().call_soon(event)
        await conversation.drained_or_arrived()
    assert await conversation.received() == b"452 full"
    conversation.pause_writing()
    conversation.connection_lost(None)
    with pytest.raises(PeerGoneError):
        await conversation.drained_or_arrived()
