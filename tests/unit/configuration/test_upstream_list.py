from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.upstream_list import (
    EMBEDDED,
    Upstream,
    UpstreamList,
    UpstreamTemplate,
    UpstreamTls,
    fill_in,
    is_loopback,
    parse_upstream,
    parse_upstreams,
)

MAIL = ("imap",)


def test_the_store_of_this_machine_is_no_upstream() -> None:
    assert parse_upstreams(EMBEDDED, MAIL) == ()


@pytest.mark.parametrize(
    ("url", "protocol", "port", "tls"),
    [
        ("imap://store1.example.com", "imap", 143, UpstreamTls.STARTTLS),
        ("imaps://store1.example.com", "imap", 993, UpstreamTls.IMPLICIT),
        ("imap://store1.example.com?tls=none", "imap", 143, UpstreamTls.NONE),
        ("imap://127.0.0.1:1143", "imap", 1143, UpstreamTls.NONE),
        ("imap://127.0.0.1:1143?tls=starttls", "imap", 1143, UpstreamTls.STARTTLS),
        ("imap://[::1]", "imap", 143, UpstreamTls.NONE),
        ("imap://localhost/", "imap", 143, UpstreamTls.NONE),
        ("lmtp://store1.example.com", "lmtp", 24, UpstreamTls.STARTTLS),
        ("https://webmail.example.com", "http", 443, UpstreamTls.IMPLICIT),
        ("http://127.0.0.1:8080", "http", 8080, UpstreamTls.NONE),
    ],
)
def test_a_url_says_protocol_port_and_tls(
    url: str, protocol: str, port: int, tls: UpstreamTls
) -> None:
    upstream = parse_upstream(url, ("imap", "lmtp", "http"))
    assert (upstream.protocol, upstream.port, upstream.tls) == (protocol, port, tls)


def test_the_certificate_is_for_the_host_unless_another_name_is_given() -> None:
    assert parse_upstream("imaps://10.1.2.3", MAIL).certificate_name == "10.1.2.3"
    named = parse_upstream("imaps://10.1.2.3?name=store1.example.com", MAIL)
    assert named.certificate_name == "store1.example.com"


def test_a_proxy_header_is_sent_where_it_is_asked_for() -> None:
    assert not parse_upstream("imaps://store1", MAIL).proxy_header
    assert parse_upstream("imaps://store1?proxy=v2", MAIL).proxy_header


def test_several_upstreams_are_equals() -> None:
    upstreams = parse_upstreams("imap://127.0.0.1:1, imap://127.0.0.1:2", MAIL)
    assert [str(upstream) for upstream in upstreams] == ["127.0.0.1:1", "127.0.0.1:2"]


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert str(parse_upstream("imap://[2001:db8::1]:144", MAIL)) == "[2001:db8::1]:144"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not begin with imap://"),
        ("store1.example.com", "does not begin with imap://"),
        ("imaps:store1", "does not begin with imap://"),
        ("imapz://store1", "did you mean imap"),
        ("pop://store1", "does not begin with imap://"),
        ("imap://", "names no host"),
        ("imap://store 1", "names no host"),
        ("imap://a..b", "names no host"),
        (f"imap://{'a' * 64}.example.com", "names no host"),
        ("imap://store1:0", "the port is not a number"),
        ("imap://store1:65536", "the port is not a number"),
        ("imap://store1:x", "the port is not a number"),
        ("imap://alice:secret@store1", "holds a user name"),
        ("imap://store1/INBOX", "nothing may follow the port"),
        ("imap://store1#x", "nothing may follow the port"),
        ("imap://store1?tls=maybe", "tls= is one of starttls, none"),
        ("imaps://store1?tls=none", "says TLS already"),
        ("imap://store1?starttls", "none of the parameters"),
        ("imap://store1?tls=none&tls=none", "there twice"),
        ("imap://store1?proxy=v1", "proxy= is one of v2, none"),
        ("imap://[::1", "Invalid IPv6 URL"),
        ("imap://store1,imap://store1", "stands in the list twice"),
        ("embedded:,imap://store1", "stands alone"),
        (",".join(f"imap://s{number}" for number in range(65)), "more than 64 upstreams"),
        ("imap://" + "a" * 3000, "longer than"),
        ("imap://store1\n", "control characters"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    with pytest.raises(BadValueError, match=complaint):
        parse_upstreams(text, MAIL)


def test_passwords_in_the_complaint_about_a_user_name_are_only_what_the_operator_wrote() -> None:
    with pytest.raises(BadValueError, match="other options, which keep secrets"):
        parse_upstreams("imap://bob@store1", MAIL)


def test_a_web_server_off_loopback_is_not_spoken_to_in_clear_by_accident() -> None:
    with pytest.raises(BadValueError, match="in clear"):
        parse_upstream("http://webmail.example.com", ("http",))
    asked_for = parse_upstream("http://webmail.example.com?tls=none", ("http",))
    assert asked_for.tls is UpstreamTls.NONE


def test_the_upstreams_of_one_service_speak_one_protocol() -> None:
    with pytest.raises(BadValueError, match="the same protocol"):
        parse_upstreams("smtp://127.0.0.1,lmtp://127.0.0.1", ("smtp", "lmtp"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_known_without_a_resolver(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example.com", "10.0.0.1", "::", "store1"])
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_the_option_type_keeps_the_text() -> None:
    kind = UpstreamList(MAIL)
    assert kind.parse("imaps://store1 , imaps://store2") == "imaps://store1,imaps://store2"
    assert kind.text(kind.parse(EMBEDDED)) == EMBEDDED
    assert kind.description == "embedded: or URLs divided by commas (imap://, imaps://)"


@given(st.text(max_size=200))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    try:
        upstreams = parse_upstreams(text, ("imap", "pop", "smtp", "lmtp", "http"))
    except BadValueError:
        return
    assert all(isinstance(upstream, Upstream) for upstream in upstreams)


@given(st.sampled_from(["imap", "imaps"]), st.integers(1, 65535), st.booleans())
def test_no_url_without_an_explicit_word_sends_in_clear_off_loopback(
    scheme: str, port: int, proxy: bool
) -> None:
    url = f"{scheme}://store1.example.com:{port}" + ("?proxy=v2" if proxy else "")
    assert parse_upstream(url, MAIL).tls is not UpstreamTls.NONE


def test_a_template_has_a_place_for_the_host() -> None:
    assert UpstreamTemplate(MAIL).parse("imaps://%h:1993") == "imaps://%h:1993"
    assert "imaps://%h" in UpstreamTemplate(MAIL).description
    for wrong in ("imaps://store1", "imaps://%h%h", "pop://%h", "imaps://%h/x"):
        with pytest.raises(BadValueError):
            UpstreamTemplate(MAIL).parse(wrong)


@given(st.text(max_size=60))
def test_a_host_out_of_a_directory_changes_nothing_but_the_host(host: str) -> None:
    try:
        upstream = fill_in("imaps://%h:1993", host, MAIL)
    except BadValueError:
        return
    assert (upstream.port, upstream.tls) == (1993, UpstreamTls.IMPLICIT)
