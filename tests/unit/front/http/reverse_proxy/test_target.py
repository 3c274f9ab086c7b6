"""Which requests go to the webmail behind: read as a lenient server could read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.front.http.reverse_proxy.target import Verdict, host_name, judge

EVERYTHING = ("/",)


def verdict(target: str, paths: tuple[str, ...] = EVERYTHING, **more: str) -> Verdict:
    hosts = frozenset(more.get("hosts", "").split())
    return judge(more.get("method", "GET"), target, more.get("host", "a"), paths=paths, hosts=hosts)


@pytest.mark.parametrize(
    "target",
    ["/", "/a/b", "//a", "/a%2Fb", "/a?b=../..", "/...", "/a/.b", "/a/..b", "/%C3%BC", "/a;b=c"],
)
def test_plain_paths_pass(target: str) -> None:
    assert verdict(target) is Verdict.PASSED


@pytest.mark.parametrize(
    "target",
    [
        "", "*", "a", "http://other/", "/../a", "/a/..", "/a/./b", "/%2e%2E/a", "/a%2f..%2fb",
        "/a\\..\\b", "/a%5c..", "/..;a=b/c", "/a%00", "/a b", "/ü", "/a#b", "/a\r\nX: y",
    ],
)  # fmt: skip
def test_what_climbs_or_is_no_path_is_malformed(target: str) -> None:
    assert verdict(target) is Verdict.MALFORMED


@pytest.mark.parametrize(
    ("target", "passes"),
    [
        ("/mail", True), ("/mail/", True), ("/mail/x?y", True), ("/mail?y", True),
        ("/mailer", False), ("/", False), ("/x/mail", False), ("/mail%2fx", False),
        ("/%6dail", False), ("//mail", False), ("/dav/x", True),
    ],
)  # fmt: skip
def test_an_allowed_path_means_all_below_it_in_both_readings(target: str, passes: bool) -> None:
    expected = Verdict.PASSED if passes else Verdict.NOT_PASSED_ON
    assert verdict(target, ("/mail", "/dav")) is expected


def test_hosts_are_compared_without_port_and_case() -> None:
    assert verdict("/", host="Mail.Test:8443", hosts="mail.test") is Verdict.PASSED
    assert verdict("/", host="mail.test.", hosts="mail.test") is Verdict.PASSED
    assert verdict("/", host="other.test", hosts="mail.test") is Verdict.OTHER_HOST
    assert host_name("[2001:DB8::1]:443") == "[2001:db8::1]"


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_tunnels_and_traces_are_not_offered(method: str) -> None:
    assert verdict("/", method=method) is Verdict.METHOD_REFUSED


@given(st.text(max_size=60))
def test_any_target_gets_a_verdict(target: str) -> None:
    assert isinstance(verdict("/" + target, ("/mail",)), Verdict)
