"""HTML of strangers made safe, and plain text made readable."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.front.http.html_text import (
    HTML_LIMIT,
    TAG_LIMIT,
    html_to_text,
    sanitise,
    text_markup,
)

PIECES = st.sampled_from(
    ["<", ">", "</", "<script>", "</script>", "<a href='", "javascript:", "'", '"', "<img src=",
     "onerror=", "<style>", "<svg>", "<math>", "<!--", "-->", "text", " ", "&#106;", "<p>", "=",
     "<base href=//x>", "<form>", "<iframe>", "\x00", "<template>", "<noscript>", "cid:a"]
)  # fmt: skip


def no_images(content_id: str) -> str | None:
    return None


def safe(source: str) -> str:
    return str(sanitise(source, no_images).markup)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_nothing_active_survives(source: str) -> None:
    tags = re.findall(r"<[^>]*>", safe(source).lower())
    for tag in tags:
        assert not re.match(r"</?(script|style|svg|math|base|form|iframe|template|noscript)", tag)
        assert not re.search(r"\son\w+\s*=|javascript:", tag)


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<p style='position:fixed'>x</p>",
        "<p class=button id=content>x</p>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='/sign-out'>x</a>",
        "<a href='//evil.test'>x</a>",
        "<img src='http://evil.test/x.png'>",
        "<img src='//evil.test/x.png'>",
        "<img src='/mail/part?x'>",
        "<img srcset='http://evil.test/x.png'>",
        "<img src='data:image/svg+xml;base64,AAAA'>",
        "<form action=x><input name=password></form>",
        "<meta http-equiv=refresh content=0>",
        "<link rel=stylesheet href=x>",
        "<td background='http://evil.test'>x</td>",
        "<iframe src=x></iframe><object data=x></object><video src=x></video>",
    ],
)
def test_what_could_act_or_load_is_removed(source: str) -> None:
    assert not re.search(
        r"script|style|class|id=|href|src|action|input|meta|link |background|frame|object|video",
        safe(source),
    )


def test_remote_images_are_reported() -> None:
    assert sanitise("<img src='http://evil.test/x.png'>", no_images).remote_blocked
    assert not sanitise("<img src='cid:a'><p>x</p>", no_images).remote_blocked


def test_images_inside_the_message_are_shown() -> None:
    assert 'src="/part?1"' in sanitise("<img src=cid:a@b>", {"a@b": "/part?1"}.get).markup
    assert "data:image/png" in safe("<img src='data:image/png;base64,iVBORw0KGgo='>")


def test_links_open_apart_and_tell_nothing() -> None:
    markup = safe("<a href='https://example.test/?a=1&amp;b=2'>x</a>")
    assert 'target="_blank"' in markup
    assert "noopener noreferrer" in markup
    assert "https://example.test/?a=1&amp;b=2" in markup


@pytest.mark.parametrize("source", ["<div>" * (TAG_LIMIT + 1), "a<b>x</b>" + "x" * HTML_LIMIT])
def test_html_that_is_costly_to_sanitise_is_shown_as_text(source: str) -> None:
    assert "<div" not in safe(source)
    assert "<b" not in safe(source)


def test_html_becomes_text_for_quoting() -> None:
    source = (
        "<head><title>T</title></head><p>One &amp;\n two</p><p>three<br>four</p><script>x</script>"
    )
    assert html_to_text(source) == "One & two\nthree\nfour\n"


@given(st.text(max_size=200) | st.lists(PIECES, max_size=30).map("".join))
def test_any_html_becomes_text(source: str) -> None:
    html_to_text(source)


@given(st.text(max_size=200))
def test_plain_text_has_no_tags_but_ours(text: str) -> None:
    markup = re.sub(r'</?span(?: class="quote")?>|<a href="https?://[^"<>]*" [^<>]*>|</a>', "",
                    str(text_markup(text)))  # fmt: skip
    assert "<" not in markup
    assert ">" not in markup


def test_links_in_text_end_before_punctuation() -> None:
    markup = text_markup("see https://example.test/a?b=1&c=2. Or <http://example.test>!")
    assert '<a href="https://example.test/a?b=1&amp;c=2"' in markup
    assert "</a>. Or &lt;" in markup


def test_quoted_lines_are_marked() -> None:
    markup = text_markup("one\n> two\n> three\nfour")
    assert markup == 'one\n<span class="quote">&gt; two\n&gt; three</span>four'
