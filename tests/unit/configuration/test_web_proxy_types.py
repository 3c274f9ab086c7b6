"""What an operator writes of the webmail behind is checked before it is taken."""

from __future__ import annotations

import pytest

from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.web_proxy_types import (
    HeaderName,
    HostNames,
    WebPaths,
    WebUpstreamList,
)


def test_upstreams_are_http_servers() -> None:
    parse = WebUpstreamList().parse
    assert parse("embedded:") == "embedded:"
    assert parse("https://a, https://b?name=c.test") == "https://a,https://b?name=c.test"
    assert parse("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    assert parse("http://a?tls=none") == "http://a?tls=none"


@pytest.mark.parametrize(
    "text",
    ["http://a", "https://a?proxy=v2", "http://a?tls=starttls", "imap://a", "https://a/path",
     "https://u@a", "https://a,embedded:"],
)  # fmt: skip
def test_what_cannot_be_a_webmail_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        WebUpstreamList().parse(text)


@pytest.mark.parametrize("text", ["X_User", "1x", "x y", "Host", "cookie", "x" * 65, "Forwarded"])
def test_a_header_name_is_letters_digits_and_hyphens_and_free(text: str) -> None:
    with pytest.raises(BadValueError):
        HeaderName().parse(text)
    assert HeaderName().parse("X-User") == "X-User"
    assert HeaderName().parse("") == ""


@pytest.mark.parametrize("text", ["", "a", "/a/../b", "/./a", "/a b", "/a%2e", "/a//b", "//a"])
def test_paths_are_plain(text: str) -> None:
    with pytest.raises(BadValueError):
        WebPaths().parse(text)


def test_paths_end_without_a_slash() -> None:
    assert WebPaths().parse("/, /a/, /b/c.d") == ("/", "/a", "/b/c.d")
    assert WebPaths().text(("/a", "/b")) == "/a,/b"


def test_host_names_are_names() -> None:
    assert HostNames().parse("Mail.Example.test, b") == ("mail.example.test", "b")
    assert HostNames().parse("") == ()
    for text in ("a_b", "a:443", "*.test", "-a", "[::1]"):
        with pytest.raises(BadValueError):
            HostNames().parse(text)
