"""Settings for Thunderbird."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mailfront.front.http.autoconfig import document
from tests.support.memory_browser import MemoryBrowser
from tests.support.webmail import SETTINGS, Webmail


@pytest.mark.parametrize(
    "path", ["/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml"]
)
async def test_both_addresses_give_the_document(path: str) -> None:
    async with MemoryBrowser(Webmail().application()) as browser:
        answer = await browser.get(f"{path}?emailaddress=alice%40example.test")
    assert answer.header("Content-Type") == "text/xml; charset=utf-8"
    assert answer.body == document(SETTINGS)


def test_enabled_ports_are_told_in_order() -> None:
    root = ElementTree.fromstring(document(SETTINGS))
    assert root.tag == "clientConfig"
    assert root.findtext("emailProvider/domain") == "example.test"
    incoming = root.find("emailProvider/incomingServer")
    outgoing = root.find("emailProvider/outgoingServer")
    assert incoming is not None
    assert outgoing is not None
    assert incoming.get("type") == "imap"
    assert [child.text for child in incoming] == [
        "mail.example.test", "993", "SSL", "password-cleartext", "%EMAILADDRESS%",
    ]  # fmt: skip
    assert outgoing.get("type") == "smtp"
    assert outgoing.findtext("port") == "465"
