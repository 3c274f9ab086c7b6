"""The embedded IMAP engine and clients that others wrote, over a socket: imaplib and IMAPClient.

The front end is left out: a small server hands each connection to the engine as if it had logged
in, and the clients find themselves authenticated (PREAUTH).
"""

from __future__ import annotations

import asyncio
import imaplib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest
from imapclient import IMAPClient  # type: ignore[import-untyped]

from mailfront.backend.embedded.imap.session import EmbeddedImap
from mailfront.interfaces.tasks import start_task
from mailfront.store.mail_store import MailStore
from tests.support.imap_session import authenticated_session

LOOPBACK = "127.0.0.1"
MESSAGE = b"""From: =?utf-8?q?J=C3=B6rg?= <joerg@example.test>\r
To: alice@example.test\r
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r
Date: Mon, 7 Feb 2022 21:52:25 +0000\r
Content-Type: multipart/alternative; boundary=B\r
\r
--B\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
Hallo\r
--B\r
Content-Type: text/html\r
\r
<p>Hallo</p>\r
--B--\r
"""


class _Login(asyncio.Protocol):
    """Greets, answers commands up to LOGIN, then hands the connection on."""

    def __init__(self, backend: EmbeddedImap) -> None:
        self._backend = backend
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n" in self._received:
            line, _, self._received = self._received.partition(b"\r\n")
            tag, name, *_ = line.split()
            if name.upper() == b"LOGIN":
                start_task(self._serve(tag), name="imap-session")
                return
            self._transport.write(b"* CAPABILITY IMAP4rev1\r\n%s OK done\r\n" % tag)

    async def _serve(self, tag: bytes) -> None:
        session = authenticated_session(self._transport, tag=tag, leftover=self._received)
        try:
            await self._backend.serve(session)
        finally:
            self._transport.close()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server in a thread of its own."""
    loop = asyncio.new_event_loop()
    store = MailStore(tmp_path)
    backend = EmbeddedImap(store)
    server = loop.run_until_complete(loop.create_server(lambda: _Login(backend), LOOPBACK, 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.01))
    store.close()
    loop.close()


def test_imaplib_goes_through_its_commands(port: int) -> None:
    with imaplib.IMAP4(LOOPBACK, port, timeout=20) as client:
        client.login("alice", "secret")
        assert client.create('"Projects/2026"')[0] == "OK"
        assert client.append("Projects/2026", "(\\Flagged)", None, MESSAGE)[0] == "OK"
        assert client.select("Projects/2026") == ("OK", [b"1"])
        assert client.fetch("1", "(RFC822)")[1][0][1] == MESSAGE  # type: ignore[index]
        assert client.search(None, "SUBJECT", '"hallo"') == ("OK", [b""])
        assert client.search("UTF-8", "FLAGGED") == ("OK", [b"1"])
        assert client.copy("1", "INBOX")[0] == "OK"
        assert client.store("1", "+FLAGS", "(\\Deleted)") == (
            "OK",
            [b"1 (FLAGS (\\Flagged \\Deleted \\Seen \\Recent))"],
        )
        assert client.expunge() == ("OK", [b"1"])
        assert client.uid("SEARCH", "ALL") == ("OK", [b""])
        assert client.status("INBOX", "(MESSAGES)") == ("OK", [b"INBOX (MESSAGES 1)"])
        assert client.lsub()[0] == "OK"
        assert client.close()[0] == "OK"
        assert client.rename("Projects/2026", "Old")[0] == "OK"
        assert client.delete("Old")[0] == "OK"
        assert client.namespace() == ("OK", [b'(("" "/")) NIL NIL'])
        assert client.noop()[0] == "OK"


def test_imapclient_reads_what_a_mail_program_shows(port: int) -> None:
    with IMAPClient(LOOPBACK, port, ssl=False, timeout=20) as client:
        client.login("alice", "secret")
        assert client.find_special_folder(b"\\Sent") == "Sent"
        client.create_folder("Entwürfe/Ä")
        assert client.folder_exists("Entwürfe/Ä")
        when = datetime(2020, 5, 17, 12, 0, 0, tzinfo=UTC)
        client.append("Entwürfe/Ä", MESSAGE, [b"\\Seen", b"$Work"], when)
        selected = client.select_folder("Entwürfe/Ä")
        assert selected[b"EXISTS"] == 1
        assert b"$Work" in selected[b"FLAGS"]
        (uid,) = client.search(["SUBJECT", "grüße"], "UTF-8")
        found = client.fetch(uid, ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "FLAGS", "BODY[]"])
        answer = found[uid]
        assert answer[b"ENVELOPE"].from_[0].mailbox == b"joerg"
        assert answer[b"BODYSTRUCTURE"].is_multipart
        assert answer[b"INTERNALDATE"].timestamp() == when.timestamp()
        assert answer[b"BODY[]"] == MESSAGE
        assert message_from_bytes(answer[b"BODY[]"]).is_multipart()
        assert client.fetch(uid, ["BODY[1]"])[uid][b"BODY[1]"] == b"Hallo"
        client.move(uid, "Trash")
        assert client.folder_status("Trash", ["MESSAGES"]) == {b"MESSAGES": 1}
        client.unselect_folder()
        client.id_({"name": "test"})
        client.logout()


def test_imapclient_hears_of_new_mail_while_it_idles(port: int) -> None:
    with (
        IMAPClient(LOOPBACK, port, ssl=False, timeout=20) as waiting,
        IMAPClient(LOOPBACK, port, ssl=False, timeout=20) as sending,
    ):
        waiting.login("alice", "secret")
        sending.login("alice", "secret")
        waiting.select_folder("INBOX")
        waiting.idle()
        sending.append("INBOX", MESSAGE)
        responses = []
        while (1, b"EXISTS") not in responses:
            responses += waiting.idle_check(timeout=20)
        waiting.idle_done()
        assert waiting.fetch(1, ["RFC822.SIZE"])[1][b"RFC822.SIZE"] == len(MESSAGE)
