"""Folders, lists, one message, downloads."""

from __future__ import annotations

import pytest

from mailfront.front.http.mail import PAGE_LENGTH
from tests.support.memory_browser import Answer, MemoryBrowser
from tests.support.webmail import PASSWORD, USER, Webmail, corpus


async def page(path: str, webmail: Webmail | None = None) -> Answer:
    async with MemoryBrowser((webmail or Webmail()).application()) as browser:
        await browser.sign_in(USER, PASSWORD)
        return await browser.get(path)


async def test_a_folder_is_listed_newest_first() -> None:
    text = (await page("/mail", Webmail(inbox=[corpus("plain"), corpus("encoded_words")]))).text
    assert text.index("Grüße aus Köln") < text.index("A plain message")
    assert "2 messages, 2 unread" in text


async def test_long_folders_have_pages() -> None:
    webmail = Webmail(inbox=[b"Subject: n%d.\r\n\r\n" % n for n in range(PAGE_LENGTH + 1)])
    first, second = await page("/mail", webmail), await page("/mail?page=2", webmail)
    assert "n0." not in first.text
    assert "Page 1 of 2" in first.text
    assert "n0." in second.text
    assert "Page 2 of 2" in (await page("/mail?page=99", webmail)).text


async def test_any_folder_name_can_be_opened() -> None:
    assert "digest" in (await page("/mail?folder=A+%26+b%2F%C3%BC")).text


@pytest.mark.parametrize(
    "path",
    [
        "/mail?folder=Nope", "/mail?folder=", "/mail?page=0", "/mail?page=x", "/mail?page=%C2%B2",
        "/mail?page=99999999999", "/mail/message", "/mail/message?uid=99", "/mail/message?uid=-1",
        "/mail/message?uid=1&folder=%00", "/mail/part?uid=1&part=7", "/mail/part?uid=1&part=",
        "/mail/source?uid=5000000000",
    ],
)  # fmt: skip
async def test_what_is_not_there_is_a_friendly_404(path: str) -> None:
    answer = await page(path)
    assert answer.status == 404
    assert "Traceback" not in answer.text


async def test_a_message_is_shown_and_seen() -> None:
    webmail = Webmail()
    answer = await page("/mail/message?folder=INBOX&uid=1", webmail)
    assert "this is all." in answer.text
    assert ("INBOX", 1) in webmail.reader.seen


async def test_headers_of_strangers_are_escaped() -> None:
    message = b"From: <script>@x\r\nSubject: <script>alert(1)</script>\r\n\r\n<script>"
    webmail = Webmail(inbox=[message])
    for path in ("/mail", "/mail/message?uid=1", "/compose?uid=1"):
        assert "<script" not in (await page(path, webmail)).text


async def test_an_attachment_is_downloaded_not_shown() -> None:
    answer = await page("/mail/part?uid=1&part=2", Webmail(inbox=[corpus("alternative_nested")]))
    assert answer.body == b"%PDF-1.4\n"
    assert answer.header("Content-Type") == "application/pdf"
    disposition = answer.header("Content-Disposition")
    assert disposition == (
        "attachment; filename=\"report (1).pdf\"; filename*=UTF-8''report%20%281%29.pdf"
    )
    assert (answer.header("Content-Security-Policy") or "").endswith("; sandbox")
    assert answer.header("Cache-Control") == "no-store"


async def test_a_hostile_file_name_stays_in_its_header() -> None:
    message = (
        b"Content-Type: text/html; name*=utf-8''a%0D%0AX-Evil:%20y%22;%20.html\r\n"
        b"Content-Disposition: attachment\r\n\r\nx"
    )
    answer = await page("/mail/part?uid=1&part=1", Webmail(inbox=[message]))
    assert answer.header("X-Evil") is None
    assert answer.header("Content-Type") == "application/octet-stream"


async def test_only_images_are_shown_inside_a_page() -> None:
    html = b"Content-Type: text/html\r\n\r\n<script>"
    answer = await page("/mail/part?uid=1&part=1&image=1", Webmail(inbox=[html]))
    assert (answer.header("Content-Disposition") or "").startswith("attachment")
    image = b"Content-Type: image/png\r\n\r\nPNG"
    answer = await page("/mail/part?uid=1&part=1&image=1", Webmail(inbox=[image]))
    assert (answer.header("Content-Disposition") or "").startswith("inline")


async def test_the_original_is_given_byte_for_byte() -> None:
    message = corpus("nul_and_controls")
    answer = await page("/mail/source?uid=1", Webmail(inbox=[message]))
    assert answer.body == message
