"""The session from the answer to the login to its end: errors, limits, and any input at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailfront.backend.embedded.imap import session as session_module
from mailfront.backend.embedded.imap.session import EmbeddedImap
from mailfront.interfaces.tasks import start_task
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Mailbox
from tests.support.imap_grammar import check_response, split_responses
from tests.support.imap_session import USER, ImapSession, authenticated_session
from tests.support.memory_transport import MemoryTransport

from .conftest import NewSession


async def test_the_login_is_answered_with_the_capabilities(store: MailStore) -> None:
    session = ImapSession(store)
    answer = await session.until(b"login ")
    assert answer.tagged.startswith(b"OK [CAPABILITY IMAP4rev1 ")
    assert answer.tagged.endswith(b"] Logged in")
    await session.close()


async def test_a_client_that_was_not_greeted_yet_is_greeted_as_logged_in(store: MailStore) -> None:
    transport = MemoryTransport()
    serving = start_task(
        EmbeddedImap(store).serve(authenticated_session(transport, tag=b"")), name="session"
    )
    await transport.more()
    assert transport.take().startswith(b"* PREAUTH [CAPABILITY IMAP4rev1 ")
    transport.feed(b"a LOGOUT\r\n")
    assert await serving == "logout"


async def test_commands_sent_along_with_the_login_are_carried_out(store: MailStore) -> None:
    session = ImapSession(store, leftover=b"a NOOP\r\nb LOGOUT\r\n")
    await session.start()
    assert (await session.until(b"a ")).ok
    assert (await session.until(b"b ")).ok
    assert await session.end() == "logout"


async def test_what_is_no_command_here_is_bad(session: ImapSession) -> None:
    for command, text in (
        (b"WHATEVER", b"BAD Unknown command"),
        (b"UID", b"BAD Unknown command"),
        (b"UID NOOP", b"BAD Unknown command"),
        (b"LOGIN a b", b"BAD Already logged in"),
        (b"STARTTLS", b"BAD Already logged in"),
        (b"FETCH 1 FLAGS", b"BAD No mailbox selected"),
        (b"NOOP x", b"BAD Unexpected arguments at the end of the command"),
        (b"SELECT", b"BAD Missing argument"),
        (b"SELECT {5+}\r\na\0b\0c", b"BAD NUL is not allowed in a literal"),
    ):
        assert (await session.ask(command)).tagged == text


async def test_twenty_bad_commands_in_a_row_end_the_session(session: ImapSession) -> None:
    for _ in range(19):
        await session.ask(b"WHATEVER")
    assert (await session.ask(b"NOOP")).ok
    for _ in range(20):
        assert (await session.ask(b"WHATEVER")).tagged.startswith(b"BAD ")
    assert await session.response() == b"* BYE Too many bad commands\r\n"
    assert await session.end() == "too many bad commands"


async def test_the_limit_of_bad_commands_is_the_administrators(new_session: NewSession) -> None:
    session = await new_session(bad_command_limit=2)
    for _ in range(2):
        assert (await session.ask(b"WHATEVER")).tagged.startswith(b"BAD ")
    assert await session.end() == "too many bad commands"


async def test_a_line_that_does_not_end_ends_the_session(session: ImapSession) -> None:
    session.send(b"a " + b"x" * 70_000)
    assert (await session.response()).endswith(b" BAD Command line too long\r\n")
    assert (await session.response()).startswith(b"* BYE ")
    assert await session.end() == "limit exceeded"


async def test_a_huge_literal_is_neither_read_nor_stored(session: ImapSession) -> None:
    session.send(b"a LIST {300000000+}\r\n")
    assert (await session.until(b"a ")).tagged == b"BAD [TOOBIG] Literal too large"
    assert (await session.response()).startswith(b"* BYE ")
    assert await session.end() == "limit exceeded"


async def test_a_client_that_reads_nothing_is_not_read_from(inbox: ImapSession) -> None:
    inbox.transport.protocol.pause_writing()
    inbox.send(b"a NOOP\r\n" * 50_000)
    await asyncio.sleep(0.01)
    assert not inbox.transport.reading


async def test_a_graceful_stop_says_goodbye(session: ImapSession) -> None:
    await session.ask(b"NOOP")
    session.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session.end()
    check = split_responses(session.transport.take())[0]
    assert check == [b"* BYE server shutting down\r\n"]


async def test_a_client_that_hangs_up_ends_the_session(session: ImapSession) -> None:
    session.transport.hang_up()
    assert await session.end() == "client closed"


async def test_a_silent_client_is_sent_away(new_session: NewSession) -> None:
    session = await new_session(idle_timeout=0.05)
    assert await session.response() == b"* BYE Idle for too long\r\n"
    assert await session.end() == "idle time-out"


async def test_an_unexpected_failure_gets_a_reference_and_the_session_goes_on(
    inbox: ImapSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(mailbox: Mailbox, bits: int) -> list[int]:
        raise RuntimeError("the details are for the log")

    monkeypatch.setattr(Mailbox, "uids_with", fail)
    answer = await inbox.ask(b"EXPUNGE")
    assert answer.tagged.startswith(b"NO Internal error, reference ")
    reference = answer.tagged.split()[-1].decode()
    assert reference in caplog.text
    assert "the details are for the log" in caplog.text
    assert (await inbox.ask(b"NOOP")).ok


async def test_a_mailbox_deleted_under_a_session_ends_it(
    session: ImapSession, new_session: NewSession
) -> None:
    await session.expect_ok(b"CREATE a")
    await session.expect_ok(b"SELECT a")
    other = await new_session()
    await other.expect_ok(b"DELETE a")
    await session.ask(b"NOOP")
    assert await session.response() == b"* BYE The selected mailbox was deleted\r\n"
    assert await session.end() == "mailbox deleted"


async def test_an_account_that_cannot_be_opened_refuses_the_login(store: MailStore) -> None:
    session = ImapSession(store, user="not an address")
    assert (await session.until(b"login ")).tagged.startswith(b"NO [UNAVAILABLE] ")
    assert (await session.response()).startswith(b"* BYE ")
    assert await session.end() == "mailbox unavailable"


async def test_two_users_never_see_each_other(new_session: NewSession) -> None:
    alice = await new_session()
    bob = await new_session(user="bob@example.test")
    await alice.append(b"a: b\r\n\r\n")
    await alice.expect_ok(b"CREATE secret")
    assert await bob.expect_ok(b"STATUS INBOX (MESSAGES)") == [b"STATUS INBOX (MESSAGES 0)"]
    assert (await bob.ask(b"SELECT secret")).tagged.startswith(b"NO [NONEXISTENT]")


SEEDS = (
    b'APPEND INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700" {10+}\r\na: b\r\n\r\nxx',
    b"APPEND INBOX {3}\r\nabc",
    b"CAPABILITY", b"CHECK", b"CLOSE", b"COPY 1:* Sent", b"CREATE a/b", b"DELETE a/b",
    b"ENABLE CONDSTORE", b"EXAMINE INBOX", b"EXPUNGE",
    b"FETCH 1:* (FLAGS UID BODY.PEEK[1.2.HEADER.FIELDS (From To)]<0.10> ENVELOPE)",
    b"FETCH * FULL", b'ID ("name" "x")', b"IDLE\r\nDONE", b'LIST "" %', b"LSUB a *", b"LOGOUT",
    b"MOVE 1 Trash", b"NAMESPACE", b"NOOP", b"RENAME a b", b"SELECT INBOX", b"SELECT {5+}\r\nINBOX",
    b"SEARCH CHARSET UTF-8 OR (SUBJECT x SINCE 1-Jan-2000) NOT BODY {1+}\r\ny",
    b"STATUS INBOX (MESSAGES UIDNEXT)", b"STORE 1:2 +FLAGS.SILENT (\\Seen $x)",
    b"SUBSCRIBE a", b"UNSUBSCRIBE a", b"UNSELECT", b"UID FETCH 1:* BODY[]", b"UID EXPUNGE 1:2",
    b"UID SEARCH UID 1:*", b"UID STORE 2 FLAGS ()", b"UID COPY 1 Sent", b"UID MOVE 2 Sent",
)  # fmt: skip


def mutated(seed: bytes, at: int, kind: str, octets: bytes) -> bytes:
    at %= len(seed) + 1
    if kind == "cut":
        return seed[:at]
    if kind == "insert":
        return seed[:at] + octets + seed[at:]
    if kind == "replace":
        return seed[:at] + octets + seed[at + len(octets) :]
    return seed


MUTATIONS = st.builds(
    mutated,
    st.sampled_from(SEEDS),
    st.integers(0, 100),
    st.sampled_from(["as it is", "cut", "insert", "replace"]),
    st.binary(min_size=1, max_size=4) | st.sampled_from([b"{", b"(", b'"', b"\r\n", b" ", b"*"]),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    state=st.sampled_from([b"", b"z SELECT INBOX\r\n", b"z EXAMINE INBOX\r\n"]),
    commands=st.lists(MUTATIONS, min_size=1, max_size=4),
    step=st.sampled_from([0, 1]),
)
def test_any_input_is_answered_and_never_fails(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    state: bytes,
    commands: list[bytes],
    step: int,
) -> None:
    """Whole and byte by byte, in each state: well-formed responses, nothing unexpected logged."""
    data = state + b"".join(b"a%d %s\r\n" % pair for pair in enumerate(commands))
    output = asyncio.run(conversation(tmp_path, data, step))
    responses, rest = split_responses(output)
    assert rest == b""
    for response in responses:
        check_response(response)
    assert "Traceback" not in caplog.text


async def conversation(root: Path, data: bytes, step: int) -> bytes:
    store = MailStore(root / "fuzz")
    transport = MemoryTransport()
    try:
        session = authenticated_session(transport, USER)
        backend = session_module.EmbeddedImap(store, append_limit=1000)
        task = start_task(backend.serve(session), name="fuzzed")
        await asyncio.sleep(0)
        for piece in [data] if not step else [data[i : i + 1] for i in range(len(data))]:
            transport.feed(piece)
            await asyncio.sleep(0)
        # Half-closed: what was sent is answered, then the session ends.
        transport.protocol.eof_received()
        await asyncio.wait_for(task, 10)
        return transport.take()
    finally:
        store.close()
