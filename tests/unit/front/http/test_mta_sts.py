"""The MTA-STS policy that other servers fetch here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.memory_browser import MemoryBrowser
from tests.support.webmail import SETTINGS, Webmail

POLICY = "version: STSv1\r\nmode: testing\r\nmx: mail.example.test\r\nmax_age: 86400\r\n"
HOST = "mta-sts.example.test"
PATH = "/.well-known/mta-sts.txt"


def webmail(policy: str = POLICY) -> Webmail:
    hosts = frozenset({HOST}) if policy else frozenset[str]()
    return Webmail(replace(SETTINGS, policy_hosts=hosts, mta_sts_policy=policy))


@pytest.mark.parametrize("host", [HOST, "MTA-STS.example.test", f"{HOST}:443", f"{HOST}."])
async def test_the_policy_is_plain_text_under_its_host(host: str) -> None:
    async with MemoryBrowser(webmail().application()) as browser:
        answer = await browser.get(PATH, Host=host)
    assert answer.status == 200
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.body == POLICY.encode()


@pytest.mark.parametrize("host", ["mail.example.test", "mta-sts.example.org", "localhost"])
async def test_under_another_name_there_is_none(host: str) -> None:
    async with MemoryBrowser(webmail().application()) as browser:
        assert (await browser.get(PATH, Host=host)).status == 404


async def test_without_the_option_there_is_none() -> None:
    async with MemoryBrowser(webmail("").application()) as browser:
        assert (await browser.get(PATH, Host=HOST)).status == 404
