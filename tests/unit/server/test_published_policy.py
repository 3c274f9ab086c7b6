"""The policy that we publish, and what `mailfront check` finds amiss with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.server.published_policy import check_published_policy, published_policy
from tests.support.issuing import Issuer
from tests.support.keystores import CHEAP

OPTIONS = {
    "service.http.mtasts.mode": "testing",
    "service.defaultdomain": "example.test",
    "service.hostname": "mail.example.test",
    "local.imta.sslnicknames": "imta",
    "local.http.sslnicknames": "http",
}


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    issuer = Issuer()
    with InternalToken.create(tmp_path / "db", Secret("password"), cost=CHEAP) as made:
        for nickname, name in (("imta", "mail.example.test"), ("http", "mta-sts.example.test")):
            issued = issuer.issue(name)
            made.add_key_and_certificate(nickname, issued.key, issued.chain)
        yield made


def configured(**more: str) -> Configuration:
    named = {name.replace("__", "."): text for name, text in more.items()}
    return Configuration.of(OPTIONS | named)


def test_without_a_mode_nothing_is_published() -> None:
    assert published_policy(Configuration.of({}), "mail.example.test") is None


def test_the_policy_names_this_server_and_its_domain_by_default() -> None:
    policy = published_policy(configured(), "mail.example.test")
    assert policy is not None
    assert policy.hosts == {"mta-sts.example.test"}
    assert policy.text.split("\r\n") == [
        "version: STSv1", "mode: testing", "mx: mail.example.test", "max_age: 604800", "",
    ]  # fmt: skip


def test_servers_and_domains_may_be_named() -> None:
    options = configured(
        service__http__mtasts__mx="*.Example.test,mx.example.org",
        service__http__mtasts__domains="example.test,Example.org",
    )
    policy = published_policy(options, "mail.example.test")
    assert policy is not None
    assert policy.servers == ("*.example.test", "mx.example.org")
    assert policy.hosts == {"mta-sts.example.test", "mta-sts.example.org"}


@pytest.mark.parametrize(
    "option", [{"service__http__mtasts__mx": "no name"}, {"service__defaultdomain": ""}]
)
def test_a_policy_that_nobody_could_keep_is_refused(option: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        published_policy(configured(**option), "mail.example.test")


def test_a_policy_that_fits_is_not_complained_of(token: InternalToken) -> None:
    assert check_published_policy(configured(), token) == []
    assert check_published_policy(Configuration.of({}), token) == []


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"service__http__mtasts__domains": "example.org"}, "mta-sts.example.org"),
        ({"service__http__mtasts__mx": "mx1.example.test"}, "not in the policy"),
        ({"service__http__mtasts__mx": "mail.example.test,mx2.example.test"}, "mx2.example.test"),
        ({"service__http__mtasts__maxage": "60"}, "less than a day"),
        ({"service__http__enable": "no"}, "webmail is not served"),
    ],
)
def test_what_does_not_fit_is_told(
    token: InternalToken, option: dict[str, str], complaint: str
) -> None:
    found = check_published_policy(configured(**option), token)
    assert any(complaint in each for each in found), found


def test_a_domain_that_withdraws_its_policy_needs_no_servers(token: InternalToken) -> None:
    options = configured(
        service__http__mtasts__mode="none", service__http__mtasts__mx="gone.example.test"
    )
    assert check_published_policy(options, token) == []
