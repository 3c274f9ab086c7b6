"""Writing and sending."""

from __future__ import annotations

from dataclasses import replace

from tests.support.memory_browser import Answer, MemoryBrowser
from tests.support.webmail import ALIAS, PASSWORD, SETTINGS, USER, Webmail


async def sent(webmail: Webmail, **fields: str) -> tuple[Answer, Answer]:
    """Post the form; also return the page that follows."""
    async with MemoryBrowser(webmail.application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        form = await browser.get("/compose")
        defaults = {"csrf_token": form.field("csrf_token"), "sender": USER, "subject": "Hi <you>"}
        answer = await browser.post("/compose", defaults | {"to": "bob@example.test"} | fields)
        return answer, await browser.get("/mail")


async def test_a_message_is_submitted_and_filed() -> None:
    webmail = Webmail()
    answer, following = await sent(webmail, text="Hello Bob", bcc="carol@example.test")
    assert answer.status == 303
    assert "Message sent." in following.text
    ((user, recipients, message),) = webmail.submission.submitted
    assert user == USER
    assert recipients == ("bob@example.test", "carol@example.test")
    assert b"Hello Bob" in message
    assert webmail.reader.contents["Sent"] == [message]


async def test_one_of_ones_own_addresses_may_be_the_sender() -> None:
    webmail = Webmail()
    await sent(webmail, sender=ALIAS)
    assert f"From: {ALIAS}".encode() in webmail.submission.submitted[0][2]


async def test_nobody_elses_address_may_be_the_sender() -> None:
    webmail = Webmail()
    answer, _ = await sent(webmail, sender="bob@example.test")
    assert answer.status == 422
    assert webmail.submission.submitted == []


async def test_a_refusal_keeps_what_was_written() -> None:
    webmail = Webmail()
    answer, _ = await sent(webmail, to="x@elsewhere.test", text="long <work>\n\nmore")
    assert answer.status == 422
    assert "x@elsewhere.test: mail to other domains is not sent" in answer.text
    assert "long &lt;work&gt;" in answer.text
    assert answer.field("subject") == "Hi <you>"
    assert webmail.reader.contents["Sent"] == []


async def test_a_wrong_address_is_named() -> None:
    answer, _ = await sent(Webmail(), to="bob")
    assert answer.status == 422
    assert "“bob” is no mail address" in answer.text


async def test_a_message_over_the_limit_is_refused() -> None:
    answer, _ = await sent(Webmail(replace(SETTINGS, message_size_limit=3000)), text="x" * 2900)
    assert answer.status == 413


async def test_a_form_over_the_limit_is_refused() -> None:
    answer, _ = await sent(Webmail(), text="x" * 300_000)
    assert answer.status == 413


async def test_a_sent_message_that_could_not_be_filed_counts_as_sent() -> None:
    webmail = Webmail()
    webmail.reader.sent_fails = True
    answer, following = await sent(webmail)
    assert answer.status == 303
    assert "no copy could be kept" in following.text


async def test_a_message_is_not_sent_without_the_token() -> None:
    webmail = Webmail()
    answer, _ = await sent(webmail, csrf_token="")
    assert answer.status == 403
    assert webmail.submission.submitted == []


async def test_a_reply_begins_with_the_message_it_answers() -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        answer = await browser.get("/compose?folder=INBOX&uid=1")
    assert answer.field("in_reply_to") == "<plain@example.test>"
    assert "&gt; Hello Bob," in answer.text
