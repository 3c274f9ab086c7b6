"""One message prepared for the eyes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.front.http.message_view import (
    MessageView,
    part_content,
    plain_text,
    view_message,
)
from mailfront.protocol.mime.scan import scan
from tests.support.webmail import CORPUS, corpus

BOTH = (
    b"Subject: both\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    b"--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n"
    b"--r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n"
    b"--a\r\n\r\nplain words\r\n--a\r\nContent-Type: text/html\r\n\r\n"
    b"<p>rich words <img src=cid:pic@x><img src=http://evil.test/p></p>\r\n--a--\r\n"
    b"--r\r\nContent-Type: image/png; name=pic.png\r\nContent-ID: <pic@x>\r\n\r\nPNG\r\n--r--\r\n"
    b"--m\r\nContent-Type: text/html\r\n"
    b"Content-Disposition: attachment; filename=../../etc/evil.html\r\n\r\n<script>\r\n"
    b"--m\r\n\r\nfooter\r\n--m--\r\n"
)


def view(message: bytes, *, formatted: bool = False) -> MessageView:
    return view_message(message, lambda number: f"/part/{number}", formatted=formatted)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_can_be_shown(message: bytes, formatted: bool) -> None:
    view(message, formatted=formatted)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.eml")), ids=lambda path: path.stem)
def test_awkward_messages_can_be_shown_and_their_attachments_fetched(path: Path) -> None:
    message = path.read_bytes()
    for attachment in view(message, formatted=True).attachments:
        assert part_content(message, attachment.number) is not None


def test_plain_text_is_shown_first_and_html_on_request() -> None:
    plain = view(BOTH)
    assert plain.choice
    assert [str(markup) for _, markup in plain.blocks] == ["plain words", "footer"]
    rich = view(BOTH, formatted=True)
    assert "rich words" in rich.blocks[0][1]
    assert rich.blocks[1] == (False, "footer")


def test_images_come_from_inside_the_message_or_not_at_all() -> None:
    rich = view(BOTH, formatted=True)
    assert 'src="/part/1.2"' in rich.blocks[0][1]
    assert "evil.test" not in rich.blocks[0][1]
    assert rich.remote_blocked


def test_html_alone_is_shown_formatted() -> None:
    shown = view(b"Content-Type: text/html\r\n\r\n<p>x</p>")
    assert shown.blocks == ((True, "<p>x</p>"),)
    assert not shown.choice


def test_attachments_have_harmless_names_and_types() -> None:
    names = [attachment.name for attachment in view(BOTH).attachments]
    assert names == ["pic.png", "evil.html"]
    content = part_content(BOTH, "2")
    assert content is not None
    assert content.media_type == "application/octet-stream"
    assert content.data == b"<script>"


def test_messages_inside_are_attachments() -> None:
    shown = view(corpus("digest"))
    assert [attachment.name for attachment in shown.attachments] == ["first.eml", "second.eml"]
    content = part_content(corpus("digest"), "1")
    assert content is not None
    assert content.data.startswith(b"From: one@example.test")


@pytest.mark.parametrize("number", ["", "0", "9", "1.1.1.1.1", "a", "-1", "1..2", "²", "9" * 5000])
def test_part_numbers_that_lead_nowhere(number: str) -> None:
    assert part_content(BOTH, number) is None


def test_headers_are_decoded_for_people() -> None:
    shown = view(corpus("eight_bit_headers"))
    assert shown.subject == "Grüße aus Köln"
    assert shown.sender.name == "Jürgen Müller"
    assert shown.to[0].name == "Ünïcode, Q"
    assert shown.date is not None
    assert view(b"Date: nonsense\r\n\r\n").date is None


def test_the_text_for_quoting_is_plain() -> None:
    assert "plain words" in plain_text(BOTH, scan(BOTH))
    html = b"Content-Type: text/html\r\n\r\n<p>only <b>this</b></p>"
    assert plain_text(html, scan(html)) == "only this\n"
