"""Webmail that sends through a real Postfix behind the submission ports."""

from __future__ import annotations

import re

from tests.conftest import NewServer
from tests.support.dialogue import unverified_context
from tests.support.login_site import WebClient
from tests.support.ports import LOOPBACK
from tests.support.postfix import Postfix
from tests.support.server import ALICE, MailServer

STRANGER = "stranger@elsewhere.example"


def signed_in(server: MailServer) -> WebClient:
    client = WebClient(server.ports["https"], unverified_context())
    fields = {
        "csrf_token": client.form_token(), "login": ALICE, "password": server.password(ALICE),
    }  # fmt: skip
    assert client.request("POST", "/sign-in", fields)[0] == 303
    return client


def send(client: WebClient, recipient: str) -> tuple[int, str]:
    page = client.request("GET", "/compose")[1]
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    fields = {
        "csrf_token": found[1], "sender": ALICE, "to": recipient, "cc": "", "bcc": "",
        "subject": "From the page", "text": "Grüße\n.\nend\n", "in_reply_to": "", "references": "",
    }  # fmt: skip
    return client.request("POST", "/compose", fields)


def test_what_is_written_on_the_page_is_queued_there_as_the_users(new_server: NewServer) -> None:
    with Postfix() as postfix:
        url = f"smtp://{LOOPBACK}:{postfix.port}"
        with new_server({"service.submit.upstream": url}) as server:
            client = signed_in(server)
            assert send(client, STRANGER)[0] == 303
            message = postfix.message(b"From the page")
            assert STRANGER.encode() in message
            assert b"Received: by " in message
            assert f"sasl_username={ALICE}" in postfix.log
            # Postfix knows the users of its own domain: its refusal is told on the page.
            status, page = send(client, "nobody@example.test")
            assert status == 422
            assert "was refused by the mail server" in page
            assert len(postfix.held()) == 1
            postfix.stop()
            status, page = send(client, STRANGER)
            assert status == 422
            assert "Try again later" in page
