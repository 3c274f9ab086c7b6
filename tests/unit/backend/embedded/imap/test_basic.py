"""CAPABILITY, ID, NOOP, CHECK, ENABLE, NAMESPACE, LOGOUT."""

from __future__ import annotations

from tests.support.imap_session import ImapSession


async def test_capability_says_what_works(session: ImapSession) -> None:
    (line,) = await session.expect_ok(b"capability")
    words = line.split()
    assert words[:2] == [b"CAPABILITY", b"IMAP4rev1"]
    for word in (b"LITERAL+", b"IDLE", b"UIDPLUS", b"MOVE", b"UNSELECT", b"APPENDLIMIT=1000000"):
        assert word in words
    for word in (b"STARTTLS", b"AUTH=PLAIN", b"LOGINDISABLED", b"COMPRESS=DEFLATE"):
        assert word not in words


async def test_id_names_the_server(session: ImapSession) -> None:
    assert await session.expect_ok(b'ID ("name" "x" "version" NIL)') == [b'ID ("name" "mailfront")']
    assert (await session.ask(b"ID")).tagged.startswith(b"BAD ")


async def test_noop_and_check_do_nothing(inbox: ImapSession) -> None:
    assert await inbox.expect_ok(b"NOOP") == []
    assert await inbox.expect_ok(b"CHECK") == []


async def test_enable_enables_nothing_and_passes_over_unknown_names(session: ImapSession) -> None:
    assert await session.expect_ok(b"ENABLE CONDSTORE X-WHATEVER") == [b"ENABLED"]


async def test_there_is_one_personal_namespace(session: ImapSession) -> None:
    assert await session.expect_ok(b"NAMESPACE") == [b'NAMESPACE (("" "/")) NIL NIL']


async def test_logout_says_goodbye_first(session: ImapSession) -> None:
    assert await session.expect_ok(b"LOGOUT") == [b"BYE Logging out"]
    assert await session.end() == "logout"
